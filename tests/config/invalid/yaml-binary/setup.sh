head -c 4096 /dev/zero | tr '\000' '\377' > pipeline.yaml
