#include "hil/modems/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

void pty_init(struct pty *p)
{
	p->master = p->slave = -1;
	p->path[0] = '\0';
}

void pty_close(struct pty *p)
{
	if (p->slave >= 0)
		close(p->slave);
	if (p->master >= 0)
		close(p->master);
	pty_init(p);
}

int pty_open(struct pty *p, struct err *e)
{
	struct termios t;

	pty_init(p);
	p->master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (p->master < 0 || grantpt(p->master) || unlockpt(p->master) ||
	    ptsname_r(p->master, p->path, sizeof(p->path)))
		goto fail;
	p->slave = open(p->path, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (p->slave < 0 || tcgetattr(p->slave, &t))
		goto fail;
	cfmakeraw(&t);
	cfsetspeed(&t, B115200);
	if (tcsetattr(p->slave, TCSANOW, &t))
		goto fail;
	return 0;
fail:
	err_set(e, ERR_ENVIRONMENT, "no pseudo-terminal: %s", strerror(errno));
	pty_close(p);
	return ERR_ENVIRONMENT;
}

void pty_share(const struct pty *p)
{
	if (p->slave >= 0)
		ioctl(p->slave, TIOCNXCL);
}
