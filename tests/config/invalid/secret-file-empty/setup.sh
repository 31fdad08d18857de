umask 077
echo > pw
