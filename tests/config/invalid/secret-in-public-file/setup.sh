chmod 644 pipeline.yaml
