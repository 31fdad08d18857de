/* Where to connect and as whom: the options, and under them what the user's own option files say in
 * [client]. */
#ifndef MY_LOGIN_H
#define MY_LOGIN_H

#include "conn.h"

struct my_login {
    char *host, *socket, *user, *password, *ca, *cert, *key; /* NULL: the library's own */
    unsigned port;                                           /* 0: likewise */
    int tls;                                                 /* enum my_tls */
};

/* place not NULL: that, and nothing else. OK, or BAKE_E_NOMEM. */
int my_login_make(const struct my_config *cfg, const struct my_place *place, struct my_login *ret);
void my_login_release(struct my_login *l); /* wipes */
/* All of it as the text of an option file; to be wiped and freed. NULL: no memory. */
char *my_login_text(const struct my_login *l);
/* "key="value"" and a newline, with what is special in option files escaped; to be freed. */
char *my_login_line(const char *key, const char *value);

/* Of [client] (and [client-server], [client-mariadb]) in /etc/my.cnf, /etc/mysql/my.cnf,
 * $MARIADB_HOME/my.cnf or $MYSQL_HOME/my.cnf, ~/.my.cnf, with what they include; later ones win.
 * What cannot be read, or is writable by everyone, is passed over. */
int my_optfile_read(struct my_login *ret);

#endif
