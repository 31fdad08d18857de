printf 'pipeline: test\nsources: \033[1m\n' > pipeline.yaml
