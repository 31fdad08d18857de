yes '# a comment that goes on and on' | head -c 104857600 >> pipeline.yaml
