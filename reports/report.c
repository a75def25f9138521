#include "reports/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/buf.h"
#include "reports/json.h"
#include "reports/junit.h"
#include "reports/markdown.h"

#define REPORT_MAX (256u << 20)

static int write_file(const char *dir, const char *name, const char *data, size_t len, struct err *e)
{
	char path[4096], fresh[4096];
	bool written;
	FILE *f;
	int rv = 0;

	if ((size_t)snprintf(path, sizeof(path), "%s/%s", dir, name) >= sizeof(path) ||
	    (size_t)snprintf(fresh, sizeof(fresh), "%s/.%s.new", dir, name) >= sizeof(fresh))
		return err_set(e, ERR_LIMIT, "%s: name too long", dir);
	f = fopen(fresh, "w");
	if (!f)
		return err_set(e, ERR_IO, "%s: %s", fresh, strerror(errno));
	written = fwrite(data, 1, len, f) == len;
	if (fclose(f) != 0 || !written)
		rv = err_set(e, ERR_IO, "%s: %s", fresh, strerror(errno));
	else if (rename(fresh, path) != 0)
		rv = err_set(e, ERR_IO, "%s: %s", path, strerror(errno));
	if (rv)
		remove(fresh);
	return rv;
}

static int write_json(const char *dir, const struct run_result *r, struct err *e)
{
	json_t *j = report_json(r);
	char *text = j ? json_dumps(j, JSON_INDENT(1)) : NULL;
	int rv;

	json_decref(j);
	if (!text)
		return err_set(e, ERR_NOMEM, "report.json: out of memory");
	rv = write_file(dir, "report.json", text, strlen(text), e);
	free(text);
	return rv;
}

static int write_buf(const char *dir, const char *name, const struct run_result *r,
		     int (*make)(const struct run_result *, struct buf *), struct err *e)
{
	struct buf b;
	int rv;

	buf_init(&b, REPORT_MAX);
	rv = make(r, &b);
	if (rv)
		err_set(e, rv, "%s: %s", name, err_text(rv));
	else
		rv = write_file(dir, name, b.data ? b.data : "", b.len, e);
	buf_fini(&b);
	return rv;
}

int report_write_all(const char *dir, const struct run_result *r, struct err *e)
{
	int json = write_json(dir, r, e);
	int junit = write_buf(dir, "junit.xml", r, report_junit, e);
	int summary = write_buf(dir, "summary.md", r, report_markdown, e);

	return json ? json : junit ? junit : summary;
}
