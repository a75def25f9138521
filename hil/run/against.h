/* What a recorded device asked and was told, as a script: who asks the same again of a
 * live server needs nothing else of the recording. */
#ifndef HIL_RUN_AGAINST_H
#define HIL_RUN_AGAINST_H

#include <stdbool.h>
#include <stddef.h>

#include "core/err.h"
#include "core/msg.h"
#include "hil/run/recording.h"
#include "hil/run/replay.h"
#include "sim/device_verb.h"

/* How one request ended, without anything that differs from one run to the next. */
struct against_shape {
	enum { AGAINST_REPLY, AGAINST_NO_ANSWER, AGAINST_LINK_LOST, AGAINST_CUT } how;
	int code;	/* of a reply; 0: it had none */
	char why[32];	/* why it was not believed, or not as good as it looks; "" */
};

struct against_step {
	time_ns at; /* since the first request */
	enum msg_resource resource;
	const char *reg;	/* of the attempt, as recorded: another one, another registration */
	bool wrong_code;	/* login: with a code that the server never issued for this attempt */
	struct against_shape recorded;
	const char *excused;	/* a fault had to do with it: not compared; NULL: compared */
};

struct against_script {
	struct against_step *v; /* texts are the recording's */
	size_t n;
};

/* 0; ERR_UNSUPPORTED (a TOTP login), ERR_NOTFOUND (it asked nothing), ERR_NOMEM; `e` says. */
int against_script(const struct recording *r, const struct replay_device *d, struct against_script *out, struct err *e);
void against_script_fini(struct against_script *s);

bool against_same(const struct against_shape *a, const struct against_shape *b);
/* "200", "403 (unsigned)", "no answer" */
const char *against_text(const struct against_shape *s, char *out, size_t size);

/* `quicrig replay --against`: asks the server of `v` (device_verb_ready) the same again, at
 * `speed` times the recorded pace. An identity that `v` leaves empty is the recorded one.
 * Prints each request; an exit code, 3 where no server answers. */
int replay_against(const struct recording *r, const struct replay_device *d, struct device_verb *v, double speed);
/* Writes the recorded devices that the server knew as a registry (quicrig serve). An exit code. */
int replay_registry(const struct recording *r, const char *path);

#endif
