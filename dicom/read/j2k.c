#include "dicom/read/j2k.h"

#include "base/memory.h"

#include <openjpeg.h>
#include <stdio.h>
#include <string.h>

struct memory_stream {
  const uint8_t *data;
  size_t bytes;
  size_t at;
};

static OPJ_SIZE_T stream_read(void *buffer, OPJ_SIZE_T bytes, void *user_data) {
  struct memory_stream *memory = user_data;
  size_t left = memory->bytes - memory->at;
  size_t count = bytes < left ? bytes : left;
  if (count == 0) {
    return (OPJ_SIZE_T)-1; /* OpenJPEG's end of stream */
  }
  memcpy(buffer, memory->data + memory->at, count);
  memory->at += count;
  return count;
}

static OPJ_OFF_T stream_skip(OPJ_OFF_T bytes, void *user_data) {
  struct memory_stream *memory = user_data;
  size_t left = memory->bytes - memory->at;
  if (bytes < 0 || (uint64_t)bytes > left) {
    memory->at = memory->bytes;
    return -1;
  }
  memory->at += (size_t)bytes;
  return bytes;
}

static OPJ_BOOL stream_seek(OPJ_OFF_T position, void *user_data) {
  struct memory_stream *memory = user_data;
  if (position < 0 || (uint64_t)position > memory->bytes) {
    return OPJ_FALSE;
  }
  memory->at = (size_t)position;
  return OPJ_TRUE;
}

static void keep_first_message(const char *message, void *user_data) {
  char *text = user_data;
  if (text[0] == '\0') {
    (void)lvn_copy(text, 128, message);
    text[strcspn(text, "\n")] = '\0';
  }
}

static void image_cleanup(opj_image_t **image) {
  opj_image_destroy(*image);
}

static void codec_cleanup(opj_codec_t **codec) {
  opj_destroy_codec(*codec);
}

static void stream_cleanup(opj_stream_t **stream) {
  opj_stream_destroy(*stream);
}

static bool check_image(const opj_image_t *image, uint32_t columns, uint32_t rows, struct lvn_error *err) {
  if (image->numcomps != 1 || image->comps[0].w != columns || image->comps[0].h != rows) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the JPEG 2000 frame is %u x %u with %u components, not %u x %u grey",
                         image->numcomps > 0 ? image->comps[0].w : 0, image->numcomps > 0 ? image->comps[0].h : 0,
                         image->numcomps, columns, rows);
  }
  if (image->comps[0].prec > 16) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the JPEG 2000 frame has %u bits", image->comps[0].prec);
  }
  return true;
}

bool lvn_j2k_decode(const uint8_t *data, size_t bytes, uint32_t columns, uint32_t rows, uint16_t *ret_pixels,
                    struct lvn_error *err) {
  static const uint8_t jp2_signature[] = {0x00, 0x00, 0x00, 0x0C, 0x6A, 0x50, 0x20, 0x20};
  struct memory_stream memory = {.data = data, .bytes = bytes};
  char message[128] = "";
  opj_dparameters_t parameters;
  bool is_jp2 = bytes >= sizeof jp2_signature && memcmp(data, jp2_signature, sizeof jp2_signature) == 0;
  LVN_CLEANUP(image_cleanup) opj_image_t *image = NULL;
  LVN_CLEANUP(codec_cleanup) opj_codec_t *codec = opj_create_decompress(is_jp2 ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  LVN_CLEANUP(stream_cleanup) opj_stream_t *stream = opj_stream_create(65536, OPJ_TRUE);
  if (codec == NULL || stream == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for the JPEG 2000 decoder");
  }
  opj_set_default_decoder_parameters(&parameters);
  (void)opj_set_error_handler(codec, keep_first_message, message);
  opj_stream_set_user_data(stream, &memory, NULL);
  opj_stream_set_user_data_length(stream, bytes);
  opj_stream_set_read_function(stream, stream_read);
  opj_stream_set_skip_function(stream, stream_skip);
  opj_stream_set_seek_function(stream, stream_seek);
  if (!opj_setup_decoder(codec, &parameters) || !opj_read_header(stream, codec, &image)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the JPEG 2000 header cannot be read: %s", message);
  }
  if (!check_image(image, columns, rows, err)) {
    return false;
  }
  if (!opj_decode(codec, stream, image) || !opj_end_decompress(codec, stream) || image->comps[0].data == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the JPEG 2000 frame cannot be decoded: %s", message);
  }
  for (size_t i = 0; i < (size_t)columns * rows; i++) {
    ret_pixels[i] = (uint16_t)((uint32_t)image->comps[0].data[i] & 0xFFFFu);
  }
  return true;
}
