printf 'pipeline: te\000st\n' > pipeline.yaml
