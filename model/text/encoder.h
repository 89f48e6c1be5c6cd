/* The frozen text side: a BERT-family encoder of any size from a Hugging Face folder (config.json, vocab.txt,
 * model.safetensors or pytorch_model.bin), by our own WordPiece and transformer code. Runs when a model is trained,
 * never at inference. Source: Devlin 2018 (post-norm encoder, learned positions, erf GELU). The torch side is
 * encoder_torch.cc. */
#ifndef LVN_MODEL_ENCODER_H
#define LVN_MODEL_ENCODER_H

#include "base/error.h"
#include "base/sha256.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_pooling {
  LVN_POOLING_CLS, /* last hidden state of [CLS] */
  LVN_POOLING_MEAN /* mean of the last hidden states of all tokens, [CLS] and [SEP] among them */
};

/* Borrowed from the encoder. */
struct lvn_text_encoder_info {
  const char *name; /* config.json's _name_or_path, or the folder's name */
  size_t hidden_size;
  size_t layer_count;
  size_t head_count;
  size_t vocabulary_size;
  size_t position_count;
  uint8_t weights_sha256[LVN_SHA256_BYTES];
};

/* Belongs to one thread at a time. */
struct lvn_text_encoder;

/* LVN_ERROR_DATA says what is not supported: another model_type, activation or position embedding, weights of
 * another form, a vocabulary of another size. */
LVN_MUST_CHECK bool lvn_text_encoder_open(const char *folder, struct lvn_text_encoder **ret_encoder,
                                          struct lvn_error *err);
void lvn_text_encoder_close(struct lvn_text_encoder *encoder); /* NULL is allowed */
const struct lvn_text_encoder_info *lvn_text_encoder_get_info(const struct lvn_text_encoder *encoder);

/* ret_vector[hidden_size] of one text. */
LVN_MUST_CHECK bool lvn_text_encoder_embed(struct lvn_text_encoder *encoder, const char *text, enum lvn_pooling pooling,
                                           float *ret_vector, struct lvn_error *err);

/* Embeddings of the standard prompts into a safetensors file: "enriched" F32 [sequence 40][class][hidden] in the
 * places of lvn_sequences, "simple" F32 [class][hidden], of every known class; notes name the classes, the encoder, its
 * weights' SHA-256 and the pooling. */
LVN_MUST_CHECK bool lvn_text_encoder_write_prompts(struct lvn_text_encoder *encoder, enum lvn_pooling pooling,
                                                   const char *path, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
