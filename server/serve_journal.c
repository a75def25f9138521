/* The journal's way out: lines gather during a turn and leave, with one write, before
 * anything else of the turn does. A full pipe stalls the server; a stall is said. */
#include "server/serve_internal.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

#define STALL_NS (20 * NS_PER_MS) /* a longer wait for the journal's reader is the harness's lag */

int serve_journal_line(void *serve, const char *line, size_t len)
{
	struct serve *s = serve;

	if (s->journal_gone)
		return ERR_CLOSED;
	if (s->lines.len > s->lines.max / 2)
		serve_journal_flush(s);
	return buf_add(&s->lines, line, len);
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n > 0) {
			data += n;
			len -= (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			struct pollfd p = {.fd = fd, .events = POLLOUT};

			poll(&p, 1, -1);
		} else if (n < 0 && errno != EINTR) {
			return false;
		}
	}
	return true;
}

void serve_journal_flush(struct serve *s)
{
	struct instant before, after;

	if (!s->lines.len || s->journal_gone)
		return;
	live_clock(&before);
	if (!write_all(s->o.journal_fd, s->lines.data, s->lines.len))
		s->journal_gone = true;
	buf_reset(&s->lines);
	live_clock(&after);
	if (after.now - before.now > STALL_NS)
		JOURNAL(s->journal, after.now, "server", NULL, NULL, NULL, J_HARNESS_LAG,
			JI(LAG_NS, after.now - before.now), JS(WHY, "journal"));
}
