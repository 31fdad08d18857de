/* What this host has promised to put back: obligations that sources registered before they acted,
 * kept in the state directory until they are redeemed, and the guard process that redeems them
 * when this one dies (design, sections 6 and 12.11). */
#ifndef BK_DUTY_H
#define BK_DUTY_H

#include "run/session.h"

struct bk_duty;

/* At the start of a verb that may act, after the pipeline's lock and before sources are opened:
 * redeems what dead processes left (what cannot be is an error event, and stays), then starts the
 * guard. Without a source that can hold or restore groups, *ret is NULL and nothing is done. */
int bk_duty_begin(struct bk_session *s, struct bk_duty **ret, struct bk_err *err);
/* Gives a context its host's oblige() and redeemed(): obligations are kept under this source's
 * name. duty may be NULL: oblige() then fails. Any thread, before the context is used. */
void bk_duty_attach(struct bk_duty *duty, struct bk_ctx *ctx, const struct bk_part *source);
/* Ends the guard, which finds nothing left to do; if there is something (a release failed), it is
 * tried once more and named. NULL is fine. */
void bk_duty_end(struct bk_duty *duty);

/* For doctor --redeem, and the guard. Redeems what no living process holds; ret_left: what could
 * not be. Sources come from the pipeline files that the obligations name. */
int bk_duty_redeem(struct bk_cancel *cancel, struct bk_reporter *reporter, size_t *ret_left,
                   struct bk_err *err);
/* For verbs that only read: says when something waits to be redeemed. */
void bk_duty_warn(void);

#endif
