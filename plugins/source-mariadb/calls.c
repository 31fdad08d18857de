/* See calls.h. */
#include "calls.h"

#include <pthread.h>
#include <stdlib.h>

struct my_calls {
    pthread_mutex_t lock;
    struct bkc_child **items;
    size_t n, cap;
};

int my_calls_new(struct my_calls **ret)
{
    struct my_calls *all = calloc(1, sizeof(*all));
    if (all && pthread_mutex_init(&all->lock, NULL) != 0) {
        free(all);
        all = NULL;
    }
    *ret = all;
    return all ? BAKE_OK : BAKE_E_NOMEM;
}

void my_calls_free(struct my_calls *all)
{
    if (!all)
        return;
    pthread_mutex_destroy(&all->lock);
    free(all->items);
    free(all);
}

int my_calls_add(struct my_calls *all, struct bkc_child *child)
{
    int rc = BAKE_OK;
    pthread_mutex_lock(&all->lock);
    if (all->n == all->cap) {
        size_t cap = all->cap ? all->cap * 2 : 8;
        struct bkc_child **items = realloc(all->items, cap * sizeof(struct bkc_child *));
        if (items) {
            all->items = items;
            all->cap = cap;
        }
    }
    if (all->n < all->cap)
        all->items[all->n++] = child;
    else
        rc = BAKE_E_NOMEM;
    pthread_mutex_unlock(&all->lock);
    return rc;
}

void my_calls_drop(struct my_calls *all, struct bkc_child *child)
{
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->n; i++)
        if (all->items[i] == child) {
            all->items[i] = all->items[--all->n];
            break;
        }
    pthread_mutex_unlock(&all->lock);
}

void my_calls_wake(struct my_calls *all)
{
    pthread_mutex_lock(&all->lock);
    for (size_t i = 0; i < all->n; i++)
        bkc_child_interrupt(all->items[i]);
    pthread_mutex_unlock(&all->lock);
}
