umask 027
printf 'correct horse\n' > pw
chmod 640 pw pipeline.yaml
