echo x-y-z > pw
chmod 644 pw
