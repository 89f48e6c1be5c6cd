/* livervlm text-encoder: the frozen text side of Liver-VLM. */
#include "cli/engine/text_encoder.h"
#include "cli/engine/commands.h"
#include "cli/options.h"
#include "model/text/encoder.h"

#include <stdio.h>
#include <string.h>

static int embed(int argc, char **argv) {
  const char *folder = NULL;
  const char *output = NULL;
  const char *pooling = "cls";
  struct lvn_text_encoder *encoder = NULL;
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      {"encoder", "DIR", LVN_OPTION_TEXT, &folder,
       "Hugging Face folder: config.json, vocab.txt, model.safetensors or pytorch_model.bin", true, 0, 0},
      {"output", "FILE", LVN_OPTION_TEXT, &output, "safetensors file for the embeddings", true, 0, 0},
      {"pooling", "cls|mean", LVN_OPTION_CHOICE, &pooling, "[CLS] of the last hidden state (default), or the mean",
       false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "text-encoder embed",
      .summary = "Embed the standard prompts: every known class by six phase orders, those that "
                 "name fewer phases, and the simple ones.",
      .examples = "livervlm text-encoder embed --encoder encoder --output prompts.safetensors",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  enum lvn_pooling how = strcmp(pooling, "cls") == 0 ? LVN_POOLING_CLS : LVN_POOLING_MEAN;
  if (!lvn_text_encoder_open(folder, &encoder, &err)) {
    return lvn_options_refuse(usage.command, &err);
  }
  bool good = lvn_text_encoder_write_prompts(encoder, how, output, &err);
  lvn_text_encoder_close(encoder);
  return good ? LVN_EXIT_OK : lvn_options_refuse(usage.command, &err);
}

static int show(int argc, char **argv) {
  struct lvn_text_encoder *encoder = NULL;
  struct lvn_error err = {0};
  const struct lvn_usage usage = {.command = "text-encoder show",
                                  .arguments = "DIR",
                                  .summary = "Say what encoder a Hugging Face folder holds.",
                                  .examples = "livervlm text-encoder show encoder",
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_text_encoder_open(argv[first], &encoder, &err)) {
    return lvn_options_refuse(usage.command, &err);
  }
  const struct lvn_text_encoder_info *info = lvn_text_encoder_get_info(encoder);
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(info->weights_sha256, digest);
  (void)printf("name        %s\nlayers      %zu\nheads       %zu\nhidden      %zu\nvocabulary  %zu\npositions   %zu\n"
               "weights     %s\n",
               info->name, info->layer_count, info->head_count, info->hidden_size, info->vocabulary_size,
               info->position_count, digest);
  lvn_text_encoder_close(encoder);
  return LVN_EXIT_OK;
}

int lvn_cli_text_encoder(int argc, char **argv) {
  static const struct lvn_options_member members[] = {{"embed", embed, "embed the standard prompts for the trainer"},
                                                      {"fetch", lvn_cli_text_encoder_fetch, "fetch an encoder"},
                                                      {"show", show, "say what encoder a folder holds"},
                                                      {NULL, NULL, NULL}};
  return lvn_options_group(argc, argv, "The frozen text side of Liver-VLM.", members);
}
