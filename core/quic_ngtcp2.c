/* What ngtcp2 calls back. Nothing here calls the owner: see quic_internal.h. */
#include "core/quic_internal.h"

#include <string.h>

#define ALERT_NO_APPLICATION_PROTOCOL 120   /* RFC 7301 §3.2 */
#define CRYPTO_ERROR		      0x100 /* RFC 9001 §4.8: plus the alert */

static void on_rand(uint8_t *dest, size_t len, const ngtcp2_rand_ctx *ctx)
{
	struct quic_endpoint *ep = ctx->native_handle;

	secret_fill(ep->cfg.secret, dest, len);
}

static int on_path_challenge(ngtcp2_conn *qc, uint8_t *data, void *user_data)
{
	struct quic_conn *c = user_data;

	(void)qc;
	secret_fill(c->secret, data, NGTCP2_PATH_CHALLENGE_DATALEN);
	return 0;
}

static int on_path(ngtcp2_conn *qc, uint32_t flags, const ngtcp2_path *path, ngtcp2_path_validation_result res,
		   void *user_data)
{
	struct quic_conn *c = user_data;

	(void)qc;
	(void)flags;
	(void)path;
	/* an aborted one was overtaken by another path, which is told of in its turn */
	c->paths_ok += res == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS;
	c->paths_bad += res == NGTCP2_PATH_VALIDATION_RESULT_FAILURE;
	return 0;
}

static int on_new_cid(ngtcp2_conn *qc, ngtcp2_cid *cid, uint8_t *token, size_t len, void *user_data)
{
	struct quic_conn *c = user_data;

	(void)qc;
	cid_make(c->ep, c->secret, cid);
	cid->datalen = len;
	if (ngtcp2_crypto_generate_stateless_reset_token(token, c->ep->cfg.reset_key,
							 sizeof(c->ep->cfg.reset_key), cid))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return cid_add(c, cid->data, cid->datalen) ? NGTCP2_ERR_CALLBACK_FAILURE : 0;
}

static int on_remove_cid(ngtcp2_conn *qc, const ngtcp2_cid *cid, void *user_data)
{
	(void)qc;
	cid_drop(user_data, cid->data, cid->datalen);
	return 0;
}

/* The peer's stateless resets bear no connection ID of ours: on a socket with many
 * connections only the token says whom one is for (RFC 9000 §10.3.1). */
static int on_dcid_status(ngtcp2_conn *qc, int type, uint64_t seq, const ngtcp2_cid *cid,
			  const uint8_t *token, void *user_data)
{
	(void)qc;
	(void)seq;
	(void)cid;
	if (!token)
		return 0;
	reset_token_drop(user_data, token);
	if (type == NGTCP2_CONNECTION_ID_STATUS_TYPE_ACTIVATE && reset_token_add(user_data, token))
		return NGTCP2_ERR_CALLBACK_FAILURE;
	return 0;
}

static int on_stateless_reset(ngtcp2_conn *qc, const ngtcp2_pkt_stateless_reset *sr, void *user_data)
{
	struct quic_conn *c = user_data;

	(void)qc;
	(void)sr;
	c->reset_seen = true;
	return 0;
}

static int on_crypto_data(ngtcp2_conn *qc, ngtcp2_crypto_level level, uint64_t offset, const uint8_t *data,
			  size_t len, void *user_data)
{
	struct quic_conn *c = user_data;

	/* after the handshake only tickets could come, which we never asked for */
	if (!c->tls)
		return 0;
	return ngtcp2_crypto_recv_crypto_data_cb(qc, level, offset, data, len, user_data);
}

static int on_handshake_completed(ngtcp2_conn *qc, void *user_data)
{
	struct quic_conn *c = user_data;

	(void)qc;
	if (!tls_alpn_ok(c)) {
		c->tls_error = CRYPTO_ERROR + ALERT_NO_APPLICATION_PROTOCOL;
		return NGTCP2_ERR_CALLBACK_FAILURE;
	}
	if (c->ep->cfg.server)
		c->done_noted = true;
	return 0;
}

static int on_handshake_confirmed(ngtcp2_conn *qc, void *user_data)
{
	struct quic_conn *c = user_data;

	(void)qc;
	if (!c->ep->cfg.server)
		c->done_noted = true;
	return 0;
}

static int on_stream_open(ngtcp2_conn *qc, int64_t id, void *user_data)
{
	struct quic_conn *c = user_data;
	struct quic_stream *s = stream_new(c, id);

	if (!s)
		return NGTCP2_ERR_CALLBACK_FAILURE;
	s->fin_by = time_add(c->ep->at.now, c->ep->cfg.fin_timeout);
	ngtcp2_conn_set_stream_user_data(qc, id, s);
	return 0;
}

static int on_stream_data(ngtcp2_conn *qc, uint32_t flags, int64_t id, uint64_t offset, const uint8_t *data,
			  size_t len, void *user_data, void *stream_user_data)
{
	(void)offset;
	(void)user_data;
	/* taken or ignored, it takes no more room: message_max is the limit, not the window */
	ngtcp2_conn_extend_max_stream_offset(qc, id, len);
	ngtcp2_conn_extend_max_offset(qc, len);
	if (!stream_user_data)
		return 0;
	return stream_received(stream_user_data, data, len, flags & NGTCP2_STREAM_DATA_FLAG_FIN)
		       ? NGTCP2_ERR_CALLBACK_FAILURE
		       : 0;
}

static int on_stream_reset(ngtcp2_conn *qc, int64_t id, uint64_t final_size, uint64_t app_error,
			   void *user_data, void *stream_user_data)
{
	(void)qc;
	(void)id;
	(void)final_size;
	(void)app_error;
	(void)user_data;
	if (stream_user_data)
		stream_end(stream_user_data, QUIC_STREAM_RESET);
	return 0;
}

static int on_stream_close(ngtcp2_conn *qc, uint32_t flags, int64_t id, uint64_t app_error, void *user_data,
			   void *stream_user_data)
{
	struct quic_conn *c = user_data;

	(void)flags;
	(void)app_error;
	if (c->ep->cfg.server && ngtcp2_is_bidi_stream(id))
		ngtcp2_conn_extend_max_streams_bidi(qc, 1);
	if (stream_user_data)
		stream_closed(stream_user_data);
	return 0;
}

const ngtcp2_callbacks quic_client_callbacks = {
	.client_initial = ngtcp2_crypto_client_initial_cb,
	.recv_crypto_data = on_crypto_data,
	.handshake_completed = on_handshake_completed,
	.handshake_confirmed = on_handshake_confirmed,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_stream_data = on_stream_data,
	.stream_close = on_stream_close,
	.stream_reset = on_stream_reset,
	.recv_stateless_reset = on_stateless_reset,
	.recv_retry = ngtcp2_crypto_recv_retry_cb,
	.rand = on_rand,
	.get_new_connection_id = on_new_cid,
	.remove_connection_id = on_remove_cid,
	.update_key = ngtcp2_crypto_update_key_cb,
	.dcid_status = on_dcid_status,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.get_path_challenge_data = on_path_challenge,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};

const ngtcp2_callbacks quic_server_callbacks = {
	.recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
	.recv_crypto_data = on_crypto_data,
	.handshake_completed = on_handshake_completed,
	.encrypt = ngtcp2_crypto_encrypt_cb,
	.decrypt = ngtcp2_crypto_decrypt_cb,
	.hp_mask = ngtcp2_crypto_hp_mask_cb,
	.recv_stream_data = on_stream_data,
	.stream_open = on_stream_open,
	.stream_close = on_stream_close,
	.stream_reset = on_stream_reset,
	.recv_stateless_reset = on_stateless_reset,
	.rand = on_rand,
	.get_new_connection_id = on_new_cid,
	.remove_connection_id = on_remove_cid,
	.update_key = ngtcp2_crypto_update_key_cb,
	.delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
	.delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
	.path_validation = on_path,
	.get_path_challenge_data = on_path_challenge,
	.version_negotiation = ngtcp2_crypto_version_negotiation_cb,
};
