chmod 640 pipeline.yaml
