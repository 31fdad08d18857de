# an ISO 8859-1 file
printf 'pipeline: n\344chtlich\n' > pipeline.yaml
