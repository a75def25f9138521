/* Register's 200, which the outbox gives once the gateway took the SMS. */
#ifndef SERVER_REGISTER_H
#define SERVER_REGISTER_H

#include "server/enroll.h"

void register_granted(struct enroll *en, struct reply *r, const char *why, const char *method);

#endif
