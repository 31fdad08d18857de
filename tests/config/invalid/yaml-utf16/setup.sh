# as some editors save it
iconv -f UTF-8 -t UTF-16 pipeline.yaml > other
mv other pipeline.yaml
