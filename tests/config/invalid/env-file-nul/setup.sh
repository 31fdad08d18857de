printf 'A=\000\n' > .env
