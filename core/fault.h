/* Armed faults. A fault names a journal event; it is armed beforehand in the actor
 * that writes that event and acts before the event's effects leave (contracts.md,
 * Journal). This module decides *whether* one fires; what it does is the actor's.
 *
 * As JSON, in a plan and in a control message `fault`:
 *   {"name": "f0", "on": "sms.submitted", "do": "replace_code",
 *    "args": {"with": "AAAAAAAAAAAA"},          free for the action
 *    "match": {"resource": "login", "code": 200}, all must equal the event's fields
 *    "dev": ["<uuid>", …],                        absent: any device
 *    "nth": 2 | "each": true,                     default: the first match only
 *    "times": 3, "chance": 0.5,                   at most; with that probability,
 *    "seed": 7,                                   drawn from this one, not from the set's
 *    "from_ns": 0, "until_ns": 5000000000,        armed only in that window of journal time
 *    "gated": true}                               only while faults_gate's function says so
 *
 * With "at": POINT (core/crash.h) it waits for that point instead: alone, "nth", "each",
 * "times", "chance" and the window are those of the point; with "on" they are those of the
 * event, and it fires where the point is next passed once the event has been seen; further
 * events until then are none of its. */
#ifndef CORE_FAULT_H
#define CORE_FAULT_H

#include <jansson.h>

#include "core/err.h"
#include "core/journal.h"

#define FAULTS_MAX 256

struct fault;
struct faults; /* the set of one process */

struct faults *faults_new(uint64_t seed);
void faults_free(struct faults *fs);
/* Arms one; its JSON is read, not kept, but for `args` (a reference is taken).
 * Returns 0, ERR_PARSE, ERR_LIMIT, ERR_NOMEM. */
int faults_arm(struct faults *fs, json_t *spec, struct err *e);
/* Who decides whether a gated fault may fire on an event about `dev` (NULL: about none).
 * Without one no gated fault is taken (ERR_UNSUPPORTED). `fs` may be NULL. */
void faults_gate(struct faults *fs, bool (*may)(void *ctx, const char *name, const char *dev), void *ctx);
/* Disarms by name; 0 or ERR_NOTFOUND. */
int faults_disarm(struct faults *fs, const char *name);
/* A journal_hook over a struct faults. At most one fault fires an event, the
 * first armed one. */
const struct fault *fault_hook(void *faults, const struct journal_event *ev);

/* Does one fire at this point? `now` in journal time. */
const struct fault *faults_at(struct faults *fs, const char *point, time_ns now);
/* An event that is about to be told, or was just now, as those with a point see it. */
void faults_foresee(struct faults *fs, const struct journal_event *ev);
unsigned faults_count(const struct faults *fs);

const char *fault_name(const struct fault *f);
const char *fault_do(const struct fault *f);
json_t *fault_args(const struct fault *f); /* borrowed; an object, never NULL */
/* Is it this action? `f` may be NULL. */
bool fault_is(const struct fault *f, const char *what);

#endif
