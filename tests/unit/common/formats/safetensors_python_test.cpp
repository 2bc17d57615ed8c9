// Python and NumPy as the independent reader and writer of safetensors files. Debian has no package
// of the format: the reader here is written from its description.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "common/formats/safetensors.h"
#include "tests/support/python_folder.h"

namespace overwinter::formats {
namespace {

namespace fs = std::filesystem;

constexpr const char* kReaderAndWriter = R"(
import json, struct
import numpy as np

KINDS = {'F64': '<f8', 'F32': '<f4', 'F16': '<f2', 'BF16': '<u2', 'I64': '<i8', 'I32': '<i4',
         'I16': '<i2', 'I8': 'i1', 'U8': 'u1', 'BOOL': '?'}

def no_twice(pairs):
    assert len({k for k, _ in pairs}) == len(pairs), 'a key stands twice'
    return dict(pairs)

def load(path):
    data = open(path, 'rb').read()
    n, = struct.unpack('<Q', data[:8])
    assert n <= 16 << 20 and 8 + n <= len(data)
    head = json.loads(data[8:8 + n].decode('utf-8'), object_pairs_hook=no_twice)
    assert data[8:9] == b'{'
    meta = head.pop('__metadata__', {})
    assert all(isinstance(v, str) for v in meta.values())
    body, at, out = data[8 + n:], 0, {}
    for name, t in sorted(head.items(), key=lambda item: item[1]['data_offsets']):
        begin, end = t['data_offsets']
        kind = np.dtype(KINDS[t['dtype']])
        assert begin == at and end - begin == int(np.prod(t['shape'], dtype=object)) * kind.itemsize
        assert begin % kind.itemsize == 0
        out[name] = np.frombuffer(body[begin:end], kind).reshape(t['shape'])
        at = end
    assert at == len(body)
    return out, meta

def save(path, tensors, meta={}, pad=0):
    head, body = {}, b''
    if meta: head['__metadata__'] = meta
    for name, (kind, array) in tensors.items():
        raw = np.ascontiguousarray(array, KINDS[kind]).tobytes()
        head[name] = {'dtype': kind, 'shape': list(array.shape), 'data_offsets': [len(body), len(body) + len(raw)]}
        body += raw
    text = json.dumps(head).encode() + b' ' * pad
    open(path, 'wb').write(struct.pack('<Q', len(text)) + text + body)
)";

class SafetensorsPython : public testing::Test {
 protected:
  std::string python(const std::string& program) {
    return python_.run(std::string(kReaderAndWriter) + program);
  }

  Result<SafetensorsHeader> read(const std::string& name, std::string* content = nullptr) {
    std::ifstream file(folder_ / name, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    if (content) *content = bytes;
    return read_safetensors_header(bytes.size(),
                                   [&](std::uint64_t offset, std::span<std::byte> out) {
                                     std::memcpy(out.data(), bytes.data() + offset, out.size());
                                     return Status::success();
                                   });
  }

  test::PythonFolder python_{"safetensors"};
  const fs::path& folder_ = python_.path();
};

TEST_F(SafetensorsPython, ItReadsOurFiles) {
  const std::vector<TensorSpec> specs{{"i64", TensorDtype::kI64, {3}},
                                      {"f64", TensorDtype::kF64, {1}},
                                      {"h.0.attn.c_attn.weight", TensorDtype::kF32, {2, 3}},
                                      {"i32", TensorDtype::kI32, {}},
                                      {"größe \"x\"\\", TensorDtype::kF16, {2}},
                                      {"bf16", TensorDtype::kBF16, {0, 4}},
                                      {"i16", TensorDtype::kI16, {1}},
                                      {"u8", TensorDtype::kU8, {2, 1}},
                                      {"bool", TensorDtype::kBool, {2}}};
  std::ofstream file(folder_ / "ours.safetensors", std::ios::binary);
  auto writer =
      SafetensorsWriter::begin(specs, {{"step", "50"}}, [&](std::span<const std::byte> data) {
        file.write(reinterpret_cast<const char*>(data.data()),
                   static_cast<std::streamsize>(data.size()));
        return Status::success();
      });
  ASSERT_TRUE(writer.has_value()) << writer.error().message;
  const auto put = [&](const auto&... values) {
    const bool good = (writer->write(std::as_bytes(std::span(&values, 1))).ok() && ...);
    EXPECT_TRUE(good);
  };
  put(std::int64_t{-1}, std::int64_t{1} << 40U, std::int64_t{7});
  put(0.1);
  put(0.0F, 1.5F, -2.0F, 3.0F, 4.0F, 5.25F);
  put(std::int32_t{-5});
  put(std::uint16_t{0x3c00}, std::uint16_t{0xc000});  // 1, -2
  put(std::int16_t{-300});
  put(std::uint8_t{255}, std::uint8_t{1});
  put(std::uint8_t{1}, std::uint8_t{0});
  ASSERT_TRUE(writer->finish().ok());
  file.close();
  EXPECT_EQ(python(R"(
tensors, meta = load('ours.safetensors')
print(meta)
for name, t in tensors.items(): print(name, t.dtype, t.shape, t.tolist())
)"),
            "{'format': 'pt', 'step': '50'}\n"
            "i64 int64 (3,) [-1, 1099511627776, 7]\n"
            "f64 float64 (1,) [0.1]\n"
            "h.0.attn.c_attn.weight float32 (2, 3) [[0.0, 1.5, -2.0], [3.0, 4.0, 5.25]]\n"
            "i32 int32 () -5\n"
            "größe \"x\"\\ float16 (2,) [1.0, -2.0]\n"
            "bf16 uint16 (0, 4) []\n"
            "i16 int16 (1,) [-300]\n"
            "u8 uint8 (2, 1) [[255], [1]]\n"
            "bool bool (2,) [True, False]\n");
}

TEST_F(SafetensorsPython, WeReadItsFiles) {
  python(R"(
a = np.arange(12, dtype='f4').reshape(3, 4)
save('theirs.safetensors', {'ä': ('F32', a), 'none': ('I8', np.zeros((0,))), 'n': ('F64', np.array(2.5))},
     {'format': 'pt', 'k': 'v\n'}, pad=5)
)");
  std::string content;
  const auto header = read("theirs.safetensors", &content);
  ASSERT_TRUE(header.has_value()) << header.error().message;
  ASSERT_EQ(header->tensors.size(), 3U);
  EXPECT_EQ(header->metadata.at("k"), "v\n");
  const TensorInfo* a = header->find("ä");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->spec.shape, (std::vector<std::uint64_t>{3, 4}));
  float last = 0;
  std::memcpy(&last, content.data() + a->offset + 44, 4);
  EXPECT_EQ(last, 11.0F);
  const TensorInfo* n = header->find("n");
  ASSERT_NE(n, nullptr);
  double number = 0;
  std::memcpy(&number, content.data() + n->offset, 8);
  EXPECT_EQ(number, 2.5);
}

TEST_F(SafetensorsPython, ItsDamagedFilesAreRefused) {
  python(R"(
save('whole', {'a': ('F32', np.ones((2, 2))), 'b': ('F32', np.ones(3))})
raw = open('whole', 'rb').read()
n, = struct.unpack('<Q', raw[:8])
def edit(name, change):
    head = json.loads(raw[8:8 + n])
    change(head)
    text = json.dumps(head).encode()
    open(name, 'wb').write(struct.pack('<Q', len(text)) + text + raw[8 + n:])
edit('0', lambda h: h['a'].update(shape=[2, 3]))
edit('1', lambda h: h['b'].update(data_offsets=[12, 24]))
edit('2', lambda h: h['b'].update(data_offsets=[17, 29]))
edit('3', lambda h: h.pop('b'))
edit('4', lambda h: h['a'].update(dtype='F64'))
edit('5', lambda h: h['a'].update(data_offsets=[0, 1e300]))
edit('6', lambda h: h.update(__metadata__={'x': None}))
edit('7', lambda h: h['a'].update(shape=[2**63, 2**63, 0]))
edit('8', lambda h: h['a'].update(shape=[True, 4]))
edit('9', lambda h: h['a'].update(stride=[1, 4]))
)");
  EXPECT_TRUE(read("whole").has_value());
  for (int i = 0; i < 10; ++i) {
    const auto header = read(std::to_string(i));
    ASSERT_FALSE(header.has_value()) << i;
    EXPECT_EQ(header.error().code, Code::kInvalidArgument);
  }
}

}  // namespace
}  // namespace overwinter::formats
