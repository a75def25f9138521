/* One asker of the policy core for the suites of its policies, made anew for each test. */
#ifndef TESTS_SERVER_POLICY_RIG_H
#define TESTS_SERVER_POLICY_RIG_H

#include <check.h>

#include "tests/server/server_rig.h"

#define S 1000 /* ms */

extern struct ask a;
void setup(void);
void teardown(void);
/* A case of `s` whose tests have the fixture. */
TCase *tcase(Suite *s, const char *name);
/* No SMS budget. */
void lax(void);
/* A device with tokens: pair `a.slots - 1`. */
void bootstrap(int dev, int reg);
/* Refreshes pair `n`, asserts code and why (NULL: any); gives how many pairs there are then. */
unsigned refresh(int dev, unsigned n, int code, const char *why);
/* One request that names what it has done. */
void ask_done(enum msg_resource res, int dev, int reg, const char *token, const char *id);

#endif
