ln -s nowhere pw
