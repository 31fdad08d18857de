rm pipeline.yaml
