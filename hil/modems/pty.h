/* A pseudo-terminal that stands for a modem's serial port. */
#ifndef HIL_MODEMS_PTY_H
#define HIL_MODEMS_PTY_H

#include "core/err.h"

struct pty {
	int master; /* the modem's side, non-blocking; -1: not there */
	int slave;  /* kept open: without it, data and settings would go with each client */
	char path[64];
};

void pty_init(struct pty *p);
int pty_open(struct pty *p, struct err *e);
/* Clients see a hang-up, the path vanishes: the modem is pulled out. */
void pty_close(struct pty *p);
/* A client's TIOCEXCL outlives it while our slave end is open; this takes it away. */
void pty_share(const struct pty *p);

#endif
