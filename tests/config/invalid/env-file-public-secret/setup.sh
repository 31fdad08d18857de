chmod 644 .env
