umask 077
mkdir secrets
printf 'correct horse\r\n' > secrets/pw
chmod 644 pipeline.yaml
