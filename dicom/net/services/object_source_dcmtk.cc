#include "dicom/net/services/object_source.h"

#include "base/file.h"
#include "base/guard.hh"
#include "dicom/load/load_dcmtk.hh"

#include <cerrno>
#include <cstring>
#include <memory>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcwcache.h>

namespace {

class Source {
public:
  Source() = default;
  virtual ~Source() = default;
  Source(const Source &) = delete;
  Source &operator=(const Source &) = delete;
  // As lvn_dimse_source's.
  virtual bool read(uint8_t *bytes, size_t capacity, size_t *ret_count, bool *ret_is_last, lvn_error *err) = 0;
};

class FileBytes final : public Source {
public:
  ~FileBytes() override {
    lvn_file_close_pointer(&fd_);
  }
  bool prepare(const char *path, uint64_t offset, lvn_error *err) {
    struct stat status = {};
    fd_ = ::open(path, O_RDONLY | O_CLOEXEC);
    if (fd_ < 0 || fstat(fd_, &status) != 0) {
      return lvn_error_set(err, LVN_ERROR_DATA, "'%s' cannot be read: %s", path, std::strerror(errno));
    }
    at_ = static_cast<int64_t>(offset);
    end_ = status.st_size;
    return true;
  }
  bool read(uint8_t *bytes, size_t capacity, size_t *ret_count, bool *ret_is_last, lvn_error *err) override {
    const ssize_t count = pread(fd_, bytes, capacity, at_);
    if (count < 0 || (count == 0 && at_ < end_)) {
      return lvn_error_set_errno(err, count < 0 ? errno : EIO, "reading a data set");
    }
    at_ += count;
    *ret_count = static_cast<size_t>(count);
    *ret_is_last = at_ >= end_;
    return true;
  }

private:
  int fd_ = -1;
  int64_t at_ = 0;
  int64_t end_ = 0;
};

class Encoder final : public Source {
public:
  bool prepare(const char *path, bool is_odd, const char *syntax, lvn_error *err) {
    syntax_ = DcmXfer(syntax).getXfer();
    if (!lvn::load_scanned(path, /* with_pixels= */ true, is_odd, file_, err)) {
      return false;
    }
    if (!file_.getDataset()->canWriteXfer(syntax_)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "'%s' cannot be encoded in %s", path, syntax);
    }
    file_.getDataset()->transferInit();
    return true;
  }
  bool read(uint8_t *bytes, size_t capacity, size_t *ret_count, bool *ret_is_last, lvn_error *err) override {
    DcmOutputBufferStream stream(bytes, static_cast<offile_off_t>(capacity));
    const OFCondition status =
        file_.getDataset()->write(stream, syntax_, EET_ExplicitLength, &cache_, EGL_recalcGL, EPD_withoutPadding);
    if (status.bad() && status != EC_StreamNotifyClient) {
      return lvn_error_set(err, LVN_ERROR_DATA, "a data set cannot be encoded: %s", status.text());
    }
    void *filled = nullptr; // `bytes` itself
    offile_off_t count = 0;
    stream.flushBuffer(filled, count);
    *ret_count = static_cast<size_t>(count);
    *ret_is_last = status.good();
    return true;
  }

private:
  DcmFileFormat file_;
  DcmWriteCache cache_;
  E_TransferSyntax syntax_ = EXS_Unknown;
};

bool read_source(void *user_data, uint8_t *bytes, size_t capacity, size_t *ret_count, bool *ret_is_last,
                 lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    return static_cast<Source *>(user_data)->read(bytes, capacity, ret_count, ret_is_last, err);
  });
}

} // namespace

bool lvn_object_source_open(const char *path, const struct lvn_scan *scan, const char *transfer_syntax_uid,
                            struct lvn_dimse_source *ret_source, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    if (std::strcmp(scan->transfer_syntax_uid, transfer_syntax_uid) != 0) {
      auto encoder = std::make_unique<Encoder>();
      if (!encoder->prepare(path, scan->is_odd, transfer_syntax_uid, err)) {
        return false;
      }
      *ret_source = {static_cast<Source *>(encoder.release()), read_source};
      return true;
    }
    auto file = std::make_unique<FileBytes>();
    if (!file->prepare(path, scan->dataset_offset, err)) {
      return false;
    }
    *ret_source = {static_cast<Source *>(file.release()), read_source};
    return true;
  });
}

void lvn_object_source_close(struct lvn_dimse_source *source) {
  delete static_cast<Source *>(source->user_data);
  source->user_data = nullptr;
}
