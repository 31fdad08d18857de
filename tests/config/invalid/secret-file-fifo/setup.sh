mkfifo pw
