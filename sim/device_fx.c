/* Building a step's list of effects. */
#include "sim/device_priv.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/plant.h"

void device_effects_init(struct device_effects *fx)
{
	memset(fx, 0, sizeof(*fx));
	buf_init(&fx->bytes, 4 * DEVICE_FILE_MAX);
}

void device_effects_fini(struct device_effects *fx)
{
	if (fx->bytes.data)
		explicit_bzero(fx->bytes.data, fx->bytes.cap);
	buf_fini(&fx->bytes);
}

struct device_effect *fx_add(struct device_effects *fx, enum device_effect_kind kind)
{
	struct device_effect *e;

	assert(fx->n < DEVICE_EFFECTS_MAX);
	e = &fx->e[fx->n++];
	e->kind = kind;
	e->n = 0;
	e->req[0] = e->reg[0] = '\0';
	e->id = 0;
	e->at = e->len = 0;
	return e;
}

const char *fx_text(struct device_effects *fx, const char *text)
{
	size_t len;
	char *at = fx->texts + fx->texts_len;

	if (!text)
		return NULL;
	len = strlen(text) + 1;
	assert(fx->texts_len + len <= sizeof(fx->texts));
	memcpy(at, text, len);
	fx->texts_len += len;
	return at;
}

static void name_attempt(struct device_effect *e, const struct device *dev)
{
	snprintf(e->req, sizeof(e->req), "%.8s", dev->request_id ? dev->nonce : "");
	snprintf(e->reg, sizeof(e->reg), "%.8s", dev->registration);
}

void fx_journal(struct device_effects *fx, const struct device *dev, enum journal_kind kind,
		const struct journal_value *v, size_t n)
{
	struct device_effect *e = fx_add(fx, DEVICE_FX_JOURNAL);

	e->journal = kind;
	name_attempt(e, dev);
	for (size_t i = 0; i < n; i++) {
		/* a text field without its text is absent */
		if (journal_field_is_text(v[i].field) && (!v[i].s || !v[i].s[0]))
			continue;
		assert(e->n < JOURNAL_VALUES);
		e->v[e->n++] = v[i];
	}
}

void fx_state(struct device_effects *fx, const struct device *dev, const struct device_row *row, int code,
	      time_ns wait)
{
	struct device_effect *e = fx_add(fx, DEVICE_FX_STATE);
	enum state_name from = row_state(row->row);

	e->journal = J_DEVICE_STATE;
	e->from = from;
	e->to = row->to;
	e->row = row->row;
	name_attempt(e, dev);
	e->v[e->n++] = (struct journal_value)JS(FROM, state_full(from));
	e->v[e->n++] = (struct journal_value)JS(TO, state_full(row->to));
	e->v[e->n++] = (struct journal_value)JS(ROW, row_id(row->row));
	if (wait != TIME_NEVER)
		e->v[e->n++] = (struct journal_value)JI(WAIT_NS, wait);
	if (code > 0)
		e->v[e->n++] = (struct journal_value)JI(CODE, code);
}

void fx_store(struct device_effects *fx, struct device *dev, bool new_tokens)
{
	struct device_effect *e;
	size_t at = fx->bytes.len;
	int rv = device_file_build(dev, &fx->bytes);
	/* the device's fields may move on before the effect is performed */
	const char *jti = new_tokens ? fx_text(fx, dev->jti) : NULL, *fam = new_tokens ? fx_text(fx, dev->fam) : NULL;

	if (rv) {
		fx->failed = rv;
		return;
	}
	dev->file_has_tokens = dev->access != NULL;
	e = fx_add(fx, DEVICE_FX_WRITE);
	e->at = at;
	e->len = fx->bytes.len - at;
	if (new_tokens)
		FX_JOURNAL(fx, dev, J_TOKENS_WRITTEN, JS(JTI, jti), JS(FAM, fam));
	if (!PLANTED(TOKENS_NOT_SYNCED))
		fx_add(fx, DEVICE_FX_SYNC);
	if (new_tokens)
		FX_JOURNAL(fx, dev, J_TOKENS_SYNCED, JS(JTI, jti), JS(FAM, fam));
	fx_add(fx, DEVICE_FX_RENAME);
	if (new_tokens)
		FX_JOURNAL(fx, dev, J_TOKENS_RENAMED, JS(JTI, jti), JS(FAM, fam));
	fx_add(fx, DEVICE_FX_SYNC_DIR);
}
