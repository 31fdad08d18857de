{ echo 'words: ['; yes 'x,' | head -n 120000; echo ']'; } >> pipeline.yaml
