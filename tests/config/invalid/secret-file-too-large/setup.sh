umask 077
head -c 70000 /dev/zero > pw
