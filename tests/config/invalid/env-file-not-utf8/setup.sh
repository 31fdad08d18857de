printf 'A=1\nBACKUP_DIR=\344\n' > .env
