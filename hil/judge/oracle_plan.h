/* The plan's settings, groups, faults and steps, as far as the oracle needs them. */
#ifndef HIL_JUDGE_ORACLE_PLAN_H
#define HIL_JUDGE_ORACLE_PLAN_H

#include "hil/judge/oracle_priv.h"

/* 0, ERR_PARSE or ERR_NOMEM. oracle_plan_free also behind an error. */
int oracle_plan_read(struct oracle *o, json_t *plan, struct err *e);
void oracle_plan_free(struct oracle *o);
/* Numbers the shares of groups that the plan speaks of. 0 or ERR_LIMIT. */
int oracle_plan_shares(struct oracle *o, struct err *e);
/* device.chosen: the device is one of a share. */
void oracle_plan_chosen(struct oracle *o, struct dev *d, const struct journal_event *ev);
/* Fills what the plan says of a device that joined. */
void oracle_plan_device(struct oracle *o, struct dev *d);
void oracle_plan_step(struct oracle *o, const struct journal_event *ev);
/* The plan's own words of a fault, by the name that it was armed under; NULL: none of its. */
json_t *oracle_plan_fault_named(const struct oracle *o, const char *name);
void oracle_plan_fault(struct oracle *o, const struct journal_event *ev);
/* How many devices the plan has; 0 where it does not say. */
uint64_t oracle_plan_devices(const struct oracle *o);
/* "step 2 of 3 (wait …) never ended"; NULL where all did. Good until the next call. */
const char *oracle_plan_unfinished(struct oracle *o);
/* Adds a check a fault of the plan. 0 or ERR_NOMEM. */
int oracle_plan_finish(struct oracle *o);

/* "10 s", "250 ms", "1 h 30 min" into `out`; returns it. */
char *duration_text(time_ns ns, char *out, size_t size);

#endif
