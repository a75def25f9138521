#include "reports/junit.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <libxml/xmlwriter.h>

#define TEXT_MAX (64u << 10)

/* XML 1.0 has no control characters, not even escaped, and must be UTF-8. */
static char *clean(const char *s)
{
	char *out = strdup(s ? s : "");
	bool utf8;

	if (!out)
		return NULL;
	utf8 = xmlCheckUTF8((const unsigned char *)out);
	for (char *p = out; *p; p++)
		if (((unsigned char)*p < 0x20 && *p != '\n' && *p != '\t') || (!utf8 && (unsigned char)*p > 0x7e))
			*p = '?';
	return out;
}

static int attribute(xmlTextWriter *w, const char *name, const char *value)
{
	char *text = clean(value);
	int rv = text ? xmlTextWriterWriteAttribute(w, BAD_CAST name, BAD_CAST text) : -1;

	free(text);
	return rv;
}

static int attribute_n(xmlTextWriter *w, const char *name, uint64_t n)
{
	return xmlTextWriterWriteFormatAttribute(w, BAD_CAST name, "%" PRIu64, n);
}

static int attribute_s(xmlTextWriter *w, const char *name, uint64_t ns)
{
	return xmlTextWriterWriteFormatAttribute(w, BAD_CAST name, "%.3f", (double)ns / 1e9);
}

static uint64_t span_of(const struct scenario_result *s)
{
	return s->wall_ns ? s->wall_ns : s->duration_ns;
}

static size_t suite_len(const char *id)
{
	const char *slash = strchr(id, '/');

	return slash ? (size_t)(slash - id) : strlen(id);
}

static bool same_suite(const char *a, const char *b)
{
	return suite_len(a) == suite_len(b) && strncmp(a, b, suite_len(a)) == 0;
}

static void details(const struct scenario_result *s, struct buf *b)
{
	for (size_t i = 0; i < s->checks_n; i++) {
		const struct check_result *c = &s->checks[i];

		if (c->status == CHECK_PASSED || (c->status == CHECK_UNJUDGED && c->kind == CHECK_INVARIANT))
			continue;
		if (c->at.file && c->at.file[0])
			buf_printf(b, "%s:%d:%d ", c->at.file, c->at.line, c->at.column);
		buf_printf(b, "%s: expected %s\n", c->name ? c->name : "", c->expected ? c->expected : "");
		if (c->note)
			buf_printf(b, "  UNJUDGED: %s\n", c->note);
		for (unsigned k = 0; k < c->causes_n; k++)
			buf_printf(b, "  got %s (%u times, blame: %s%s%s)\n", c->causes[k].got ? c->causes[k].got : "",
				   c->causes[k].count, blame_name(c->causes[k].blame), c->causes[k].why ? ", " : "",
				   c->causes[k].why ? c->causes[k].why : "");
	}
}

static int outcome(xmlTextWriter *w, const struct scenario_result *s, const char *element)
{
	struct buf b;
	char *text;
	int rv;

	buf_init(&b, TEXT_MAX);
	details(s, &b);
	text = clean(b.data);
	buf_fini(&b);
	rv = !text || xmlTextWriterStartElement(w, BAD_CAST element) < 0 || attribute(w, "message", s->reason) < 0 ||
	     attribute(w, "type", blame_name(s->blame)) < 0 || xmlTextWriterWriteString(w, BAD_CAST text) < 0 ||
	     xmlTextWriterEndElement(w) < 0;
	free(text);
	return rv ? -1 : 0;
}

static int skipped(xmlTextWriter *w, const struct scenario_result *s)
{
	return xmlTextWriterStartElement(w, BAD_CAST "skipped") < 0 || attribute(w, "message", s->reason) < 0 ||
			       xmlTextWriterEndElement(w) < 0 ?
		       -1 :
		       0;
}

static int testcase(xmlTextWriter *w, const struct scenario_result *s)
{
	size_t len = suite_len(s->id);
	char *suite = strndup(s->id, len);
	int rv = -1;

	if (!suite || xmlTextWriterStartElement(w, BAD_CAST "testcase") < 0 ||
	    attribute(w, "name", s->id[len] ? s->id + len + 1 : s->id) < 0 || attribute(w, "classname", suite) < 0 ||
	    attribute_s(w, "time", span_of(s)) < 0)
		goto out;
	if (s->source.file && s->source.file[0] &&
	    (attribute(w, "file", s->source.file) < 0 || attribute_n(w, "line", (uint64_t)s->source.line) < 0))
		goto out;
	if (s->verdict == VERDICT_SKIP || s->verdict == VERDICT_XFAIL || s->verdict == VERDICT_QUARANTINE)
		rv = skipped(w, s);
	else if (s->verdict == VERDICT_FAIL || s->verdict == VERDICT_XPASS)
		rv = outcome(w, s, "failure");
	else if (s->verdict == VERDICT_INCONCLUSIVE)
		rv = outcome(w, s, "error");
	else
		rv = 0;
	if (!rv && s->summary && s->summary[0]) {
		char *text = clean(s->summary);

		rv = text && xmlTextWriterWriteElement(w, BAD_CAST "system-out", BAD_CAST text) >= 0 ? 0 : -1;
		free(text);
	}
	if (!rv && xmlTextWriterEndElement(w) < 0)
		rv = -1;
out:
	free(suite);
	return rv;
}

struct tally {
	uint64_t tests, failures, errors, skipped, ns;
};

static void add(struct tally *t, const struct scenario_result *s)
{
	t->tests++;
	t->failures += s->verdict == VERDICT_FAIL || s->verdict == VERDICT_XPASS;
	t->errors += s->verdict == VERDICT_INCONCLUSIVE;
	t->skipped += s->verdict == VERDICT_SKIP || s->verdict == VERDICT_XFAIL || s->verdict == VERDICT_QUARANTINE;
	t->ns += span_of(s);
}

static int put_tally(xmlTextWriter *w, const struct tally *t)
{
	return attribute_n(w, "tests", t->tests) < 0 || attribute_n(w, "failures", t->failures) < 0 ||
			       attribute_n(w, "errors", t->errors) < 0 || attribute_n(w, "skipped", t->skipped) < 0 ||
			       attribute_s(w, "time", t->ns) < 0 ?
		       -1 :
		       0;
}

static int testsuite(xmlTextWriter *w, const struct run_result *r, size_t first)
{
	const char *id = r->scenarios[first]->id;
	char *suite = strndup(id, suite_len(id));
	struct tally t = {0};
	int rv = -1;

	for (size_t i = first; i < r->n; i++)
		if (same_suite(r->scenarios[i]->id, id))
			add(&t, r->scenarios[i]);
	if (suite && xmlTextWriterStartElement(w, BAD_CAST "testsuite") >= 0 && attribute(w, "name", suite) >= 0)
		rv = put_tally(w, &t);
	for (size_t i = first; i < r->n && !rv; i++)
		if (same_suite(r->scenarios[i]->id, id))
			rv = testcase(w, r->scenarios[i]);
	if (!rv && xmlTextWriterEndElement(w) < 0)
		rv = -1;
	free(suite);
	return rv;
}

static int write_all(xmlTextWriter *w, const struct run_result *r)
{
	struct tally t = {0};
	int rv;

	for (size_t i = 0; i < r->n; i++)
		add(&t, r->scenarios[i]);
	xmlTextWriterSetIndent(w, 1);
	rv = xmlTextWriterStartDocument(w, NULL, "UTF-8", NULL) < 0 ||
	     xmlTextWriterStartElement(w, BAD_CAST "testsuites") < 0 || attribute(w, "name", "quicrig") < 0 ||
	     put_tally(w, &t) < 0;
	for (size_t i = 0; i < r->n && !rv; i++) {
		bool new_suite = true;

		for (size_t k = 0; k < i; k++)
			new_suite = new_suite && !same_suite(r->scenarios[k]->id, r->scenarios[i]->id);
		if (new_suite)
			rv = testsuite(w, r, i);
	}
	return rv || xmlTextWriterEndDocument(w) < 0 ? -1 : 0;
}

int report_junit(const struct run_result *r, struct buf *out)
{
	xmlBuffer *x = xmlBufferCreate();
	xmlTextWriter *w = x ? xmlNewTextWriterMemory(x, 0) : NULL;
	int rv = w ? write_all(w, r) : -1;

	if (w)
		xmlFreeTextWriter(w);
	rv = rv ? ERR_NOMEM : buf_add(out, xmlBufferContent(x), (size_t)xmlBufferLength(x));
	if (x)
		xmlBufferFree(x);
	return rv;
}
