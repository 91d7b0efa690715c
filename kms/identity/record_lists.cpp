// SPDX-License-Identifier: Apache-2.0
#include "kms/identity/record_lists.h"

#include <cstdint>
#include <utility>

namespace kms {

void PutTexts(const std::vector<std::string>& texts, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(texts.size()));
  for (const std::string& text : texts) {
    writer.PutText(text);
  }
}

std::vector<std::string> GetTexts(RecordReader& reader) {
  std::vector<std::string> texts;
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    texts.push_back(reader.GetText());
  }
  return texts;
}

void PutPairs(const std::map<std::string, std::string>& pairs, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(pairs.size()));
  for (const auto& [key, value] : pairs) {
    writer.PutText(key);
    writer.PutText(value);
  }
}

std::map<std::string, std::string> GetPairs(RecordReader& reader) {
  std::map<std::string, std::string> pairs;
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    std::string key = reader.GetText();
    pairs.insert_or_assign(std::move(key), reader.GetText());
  }
  return pairs;
}

void PutCidrs(const std::vector<CidrBlock>& blocks, RecordWriter& writer) {
  writer.Put(static_cast<std::uint32_t>(blocks.size()));
  for (const CidrBlock& block : blocks) {
    writer.PutText(block.ToText());
  }
}

std::vector<CidrBlock> GetCidrs(RecordReader& reader) {
  std::vector<CidrBlock> blocks;
  const auto count = reader.Get<std::uint32_t>();
  for (std::uint32_t index = 0; index < count && !reader.failed(); ++index) {
    const Result<CidrBlock> block = CidrBlock::Parse(reader.GetText());
    if (!block.has_value()) {
      reader.Fail();
      break;
    }
    blocks.push_back(*block);
  }
  return blocks;
}

}  // namespace kms
