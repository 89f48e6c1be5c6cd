#include "model/text/encoder.h"

#include "base/file.h"
#include "base/guard.hh"
#include "model/tensor/import.h"
#include "model/tensor/tensor_torch.hh"
#include "model/text/config.h"
#include "model/text/prompts.h"
#include "model/text/wordpiece.h"

#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

struct ImportCloser {
  void operator()(struct lvn_import *file) const {
    lvn_import_close(file);
  }
};

struct WordpieceCloser {
  void operator()(struct lvn_wordpiece *wordpiece) const {
    lvn_wordpiece_close(wordpiece);
  }
};

struct Linear {
  torch::Tensor weight;
  torch::Tensor bias;
  torch::Tensor operator()(const torch::Tensor &x) const {
    return torch::addmm(bias, x, weight.t());
  }
};

struct Norm {
  torch::Tensor weight;
  torch::Tensor bias;
  double eps = 0.0;
  torch::Tensor operator()(const torch::Tensor &x) const {
    return torch::layer_norm(x, {x.size(-1)}, weight, bias, eps);
  }
};

struct Layer {
  Linear query, key, value, output, intermediate, feed_output;
  Norm attention_norm, feed_norm;
};

// Finds a checkpoint's tensors under the names that its age and wrapping may have given them.
class Weights {
public:
  Weights(const lvn_import *file, const lvn_bert_config &config) : file_(file), config_(config) {
    prefix_ = lvn_import_find(file, "bert.embeddings.word_embeddings.weight") != nullptr ? "bert." : "";
  }
  torch::Tensor get(const std::string &name, std::vector<int64_t> shape) const {
    return take(find(name), name, shape);
  }
  Linear linear(const std::string &name, size_t in, size_t out) const {
    return {get(name + ".weight", {int64_t(out), int64_t(in)}), get(name + ".bias", {int64_t(out)})};
  }
  // The first BERT checkpoints were converted from TensorFlow and call these gamma and beta.
  Norm norm(const std::string &name) const {
    const bool old = find(name + ".gamma") != nullptr;
    const auto hidden = static_cast<int64_t>(config_.hidden_size);
    return {get(name + (old ? ".gamma" : ".weight"), {hidden}), get(name + (old ? ".beta" : ".bias"), {hidden}),
            config_.layer_norm_eps};
  }

private:
  const lvn_tensor *find(const std::string &name) const {
    return lvn_import_find(file_, (prefix_ + name).c_str());
  }
  static torch::Tensor take(const lvn_tensor *view, const std::string &name, const std::vector<int64_t> &shape) {
    if (view == nullptr) {
      throw std::runtime_error("weights: tensor '" + name + "' is missing");
    }
    torch::Tensor tensor = lvn_tensor_to_torch(view);
    if (tensor.sizes() != torch::IntArrayRef(shape) || !tensor.is_floating_point()) {
      throw std::runtime_error("weights: tensor '" + name + "' has another shape than config.json says");
    }
    return tensor.to(torch::kFloat32);
  }
  const lvn_import *file_;
  const lvn_bert_config &config_;
  std::string prefix_;
};

Layer load_layer(const Weights &weights, const lvn_bert_config &config, size_t index) {
  const std::string base = "encoder.layer." + std::to_string(index) + ".";
  const size_t hidden = config.hidden_size;
  Layer layer;
  layer.query = weights.linear(base + "attention.self.query", hidden, hidden);
  layer.key = weights.linear(base + "attention.self.key", hidden, hidden);
  layer.value = weights.linear(base + "attention.self.value", hidden, hidden);
  layer.output = weights.linear(base + "attention.output.dense", hidden, hidden);
  layer.attention_norm = weights.norm(base + "attention.output.LayerNorm");
  layer.intermediate = weights.linear(base + "intermediate.dense", hidden, config.intermediate_size);
  layer.feed_output = weights.linear(base + "output.dense", config.intermediate_size, hidden);
  layer.feed_norm = weights.norm(base + "output.LayerNorm");
  return layer;
}

torch::Tensor attend(const Layer &layer, const torch::Tensor &x, int64_t heads) {
  const int64_t tokens = x.size(0);
  const int64_t width = x.size(1) / heads;
  auto split = [&](const torch::Tensor &t) { return t.view({tokens, heads, width}).transpose(0, 1); };
  torch::Tensor scores = torch::matmul(split(layer.query(x)), split(layer.key(x)).transpose(1, 2));
  torch::Tensor weights = torch::softmax(scores / std::sqrt(static_cast<double>(width)), -1);
  torch::Tensor mixed = torch::matmul(weights, split(layer.value(x)));
  return layer.output(mixed.transpose(0, 1).reshape({tokens, x.size(1)}));
}

} // namespace

struct lvn_text_encoder {
  lvn_bert_config config = {};
  lvn_text_encoder_info info = {};
  std::unique_ptr<lvn_wordpiece, WordpieceCloser> wordpiece;
  torch::Tensor words, positions, type;
  Norm embedding_norm;
  std::vector<Layer> layers;
};

namespace {

std::string join(const char *folder, const char *name) {
  return std::string(folder) + "/" + name;
}

bool load_weights(lvn_text_encoder &encoder, const char *folder, struct lvn_error *err) {
  std::string path = join(folder, "model.safetensors");
  if (!lvn_file_exists(path.c_str()) && lvn_file_exists(join(folder, "pytorch_model.bin").c_str())) {
    path = join(folder, "pytorch_model.bin");
  }
  struct lvn_import *opened = nullptr;
  if (!lvn_import_open(path.c_str(), &opened, err)) {
    return false;
  }
  const std::unique_ptr<lvn_import, ImportCloser> file(opened);
  if (!lvn_sha256_of_file(path.c_str(), encoder.info.weights_sha256, err)) {
    return false;
  }
  const lvn_bert_config &config = encoder.config;
  const Weights weights(file.get(), config);
  const auto hidden = static_cast<int64_t>(config.hidden_size);
  encoder.words =
      weights.get("embeddings.word_embeddings.weight", {static_cast<int64_t>(config.vocabulary_size), hidden});
  encoder.positions =
      weights.get("embeddings.position_embeddings.weight", {static_cast<int64_t>(config.position_count), hidden});
  encoder.type = weights.get("embeddings.token_type_embeddings.weight", {2, hidden})[0];
  encoder.embedding_norm = weights.norm("embeddings.LayerNorm");
  for (size_t i = 0; i < config.layer_count; i++) {
    encoder.layers.push_back(load_layer(weights, config, i));
  }
  return true;
}

bool open_encoder(const char *folder, lvn_text_encoder &encoder, struct lvn_error *err) {
  struct lvn_wordpiece *wordpiece = nullptr;
  if (!lvn_bert_config_read(join(folder, "config.json").c_str(), &encoder.config, err) ||
      !lvn_wordpiece_open(join(folder, "vocab.txt").c_str(), &wordpiece, err)) {
    return false;
  }
  encoder.wordpiece.reset(wordpiece);
  if (lvn_wordpiece_size(wordpiece) != encoder.config.vocabulary_size) {
    return lvn_error_set(err, LVN_ERROR_DATA, "vocab.txt has %zu tokens, config.json says %zu",
                         lvn_wordpiece_size(wordpiece), encoder.config.vocabulary_size);
  }
  if (!load_weights(encoder, folder, err)) {
    return false;
  }
  encoder.info.name = encoder.config.name;
  encoder.info.hidden_size = encoder.config.hidden_size;
  encoder.info.layer_count = encoder.config.layer_count;
  encoder.info.head_count = encoder.config.head_count;
  encoder.info.vocabulary_size = encoder.config.vocabulary_size;
  encoder.info.position_count = encoder.config.position_count;
  return true;
}

torch::Tensor embed(const lvn_text_encoder &encoder, const std::vector<int64_t> &ids, enum lvn_pooling pooling) {
  const torch::InferenceMode inference;
  const torch::Tensor tokens = torch::tensor(ids, torch::kInt64);
  torch::Tensor x = encoder.words.index_select(0, tokens) +
                    encoder.positions.slice(0, 0, static_cast<int64_t>(ids.size())) + encoder.type;
  x = encoder.embedding_norm(x);
  for (const Layer &layer : encoder.layers) {
    x = layer.attention_norm(x + attend(layer, x, static_cast<int64_t>(encoder.config.head_count)));
    x = layer.feed_norm(x + layer.feed_output(torch::gelu(layer.intermediate(x))));
  }
  return (pooling == LVN_POOLING_CLS ? x[0] : x.mean(0)).contiguous();
}

bool embed_text(const lvn_text_encoder &encoder, const char *text, enum lvn_pooling pooling, float *vector,
                struct lvn_error *err) {
  std::vector<int64_t> ids(encoder.config.position_count);
  size_t count = 0;
  if (!lvn_wordpiece_encode(encoder.wordpiece.get(), text, ids.size(), ids.data(), &count, err)) {
    return false;
  }
  ids.resize(count);
  const torch::Tensor result = embed(encoder, ids, pooling);
  std::memcpy(vector, result.data_ptr<float>(), result.nbytes());
  return true;
}

bool write_prompts(const lvn_text_encoder &encoder, enum lvn_pooling pooling, const char *path, struct lvn_error *err) {
  const size_t hidden = encoder.config.hidden_size;
  std::vector<float> enriched(LVN_SEQUENCE_COUNT * LVN_CLASS_COUNT * hidden);
  std::vector<float> simple(LVN_CLASS_COUNT * hidden);
  char text[LVN_PROMPT_BYTES];
  for (size_t i = 0; i < LVN_SEQUENCE_COUNT * LVN_CLASS_COUNT; i++) {
    lvn_prompt_sequence(static_cast<enum lvn_class>(i % LVN_CLASS_COUNT), i / LVN_CLASS_COUNT, text);
    if (!embed_text(encoder, text, pooling, &enriched[i * hidden], err)) {
      return false;
    }
  }
  for (size_t i = 0; i < LVN_CLASS_COUNT; i++) {
    lvn_prompt_simple(static_cast<enum lvn_class>(i), text);
    if (!embed_text(encoder, text, pooling, &simple[i * hidden], err)) {
      return false;
    }
  }
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(encoder.info.weights_sha256, digest);
  const struct lvn_tensor tensors[] = {
      {"enriched", LVN_DTYPE_F32, 3, {LVN_SEQUENCE_COUNT, LVN_CLASS_COUNT, hidden}, enriched.size(), enriched.data()},
      {"simple", LVN_DTYPE_F32, 2, {LVN_CLASS_COUNT, hidden}, simple.size(), simple.data()}};
  char names[LVN_CLASSES_TEXT_BYTES];
  lvn_classes_format(~0U, names);
  const struct lvn_tensor_note notes[] = {{"classes", names},
                                          {"encoder", encoder.info.name},
                                          {"encoder_sha256", digest},
                                          {"pooling", pooling == LVN_POOLING_CLS ? "cls" : "mean"}};
  return lvn_safetensors_write(path, tensors, 2, notes, 4, err);
}

} // namespace

bool lvn_text_encoder_open(const char *folder, struct lvn_text_encoder **ret_encoder, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    auto encoder = std::make_unique<lvn_text_encoder>();
    if (!open_encoder(folder, *encoder, err)) {
      return false;
    }
    *ret_encoder = encoder.release();
    return true;
  });
}

void lvn_text_encoder_close(struct lvn_text_encoder *encoder) {
  delete encoder;
}

const struct lvn_text_encoder_info *lvn_text_encoder_get_info(const struct lvn_text_encoder *encoder) {
  return &encoder->info;
}

bool lvn_text_encoder_embed(struct lvn_text_encoder *encoder, const char *text, enum lvn_pooling pooling,
                            float *ret_vector, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_ENGINE, [&] { return embed_text(*encoder, text, pooling, ret_vector, err); });
}

bool lvn_text_encoder_write_prompts(struct lvn_text_encoder *encoder, enum lvn_pooling pooling, const char *path,
                                    struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_ENGINE, [&] { return write_prompts(*encoder, pooling, path, err); });
}
