umask 077
printf 'a\000b' > pw
