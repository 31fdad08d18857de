chmod 600 pipeline.yaml
