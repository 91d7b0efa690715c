// SPDX-License-Identifier: Apache-2.0
// The two grammars over the tokens of PolicyScanner:
//   HCL   document = member*           member = key ["=" | ":"] value | key string* object
//         object = "{" (member [","])* "}"      list = "[" [value ("," value)* [","]] "]"
//   JSON  document = object            member = string ":" value, separated by ","
#include "kms/auth/policy_document.h"

#include <algorithm>
#include <utility>

#include "kms/auth/policy_scanner.h"

namespace kms::internal {
namespace {

using Kind = PolicyNode::Kind;

constexpr int kMaxDepth = 16;

class DocumentReader {
 public:
  DocumentReader(std::string_view text, bool json) : scanner_(text, json), json_(json) {}

  Result<PolicyNode> Read() {
    KMS_TRY(scanner_.CheckBytes());
    KMS_TRY(Advance());
    PolicyNode root{.kind = Kind::kObject, .line = 1};
    if (json_) {
      root = KMS_TRY(ReadObject());
      return AtEnd() ? Result<PolicyNode>(std::move(root))
                     : Result<PolicyNode>(Unexpected("the end of the document"));
    }
    while (!AtEnd()) {
      KMS_TRY(ReadMember(root));
      KMS_TRY(SkipMark(","));
    }
    return root;
  }

 private:
  [[nodiscard]] bool AtEnd() const { return token_.kind == PolicyTokenKind::kEnd; }
  [[nodiscard]] bool IsMark(std::string_view mark) const {
    return token_.kind == PolicyTokenKind::kMark && token_.text == mark;
  }
  [[nodiscard]] Error Unexpected(const std::string& wanted) const {
    const std::string found = AtEnd() ? "the document ends" : ShownInError(token_.text) + " stands";
    return PolicyErrorAt(token_.line, found + " where " + wanted + " is expected");
  }

  Status Advance() {
    token_ = KMS_TRY(scanner_.Next());
    return Ok();
  }
  Result<bool> SkipMark(std::string_view mark) {
    if (!IsMark(mark)) {
      return false;
    }
    KMS_TRY(Advance());
    return true;
  }

  Status ReadMember(PolicyNode& object) {
    const bool quoted = token_.kind == PolicyTokenKind::kString;
    if (!quoted && (json_ || token_.kind != PolicyTokenKind::kWord)) {
      return Unexpected(json_ ? "a key in double quotes" : "a key");
    }
    const std::string key = token_.text;
    const int line = token_.line;
    KMS_TRY(Advance());
    const bool block = !json_ && !IsMark("=") && !IsMark(":");
    if (!block) {
      if (json_ && !IsMark(":")) {
        return Unexpected("\":\"");
      }
      KMS_TRY(Advance());
    }
    PolicyNode value = KMS_TRY(block ? ReadBlock() : ReadValue());
    value.key = key;
    value.line = line;
    return Add(object, std::move(value), block);
  }

  Status Add(PolicyNode& object, PolicyNode value, bool block) {
    const auto known = std::ranges::find(object.children, value.key, &PolicyNode::key);
    if (known != object.children.end() && !(block && known->kind == Kind::kObject)) {
      return PolicyErrorAt(value.line, ShownInError(value.key) + " is given twice");
    }
    object.children.push_back(std::move(value));
    return Ok();
  }

  // What follows a key without '=': labels, each an object around the next, then a body.
  Result<PolicyNode> ReadBlock() {
    if (token_.kind != PolicyTokenKind::kString) {
      return IsMark("{") ? ReadObject() : Result<PolicyNode>(Unexpected("\"=\" or \"{\""));
    }
    if (++depth_ > kMaxDepth) {
      return PolicyErrorAt(token_.line, "the document is nested too deeply");
    }
    PolicyNode labelled{.kind = Kind::kObject, .line = token_.line};
    const std::string label = token_.text;
    KMS_TRY(Advance());
    PolicyNode body = KMS_TRY(ReadBlock());
    body.key = label;
    labelled.children.push_back(std::move(body));
    --depth_;
    return labelled;
  }

  Result<PolicyNode> ReadValue() {
    if (IsMark("{")) {
      return ReadObject();
    }
    if (IsMark("[")) {
      return ReadList();
    }
    PolicyNode scalar{.kind = Kind::kString, .text = token_.text, .line = token_.line};
    const bool boolean = token_.text == "true" || token_.text == "false";
    if (token_.kind == PolicyTokenKind::kNumber) {
      scalar.kind = Kind::kNumber;
    } else if (token_.kind == PolicyTokenKind::kWord && boolean) {
      scalar.kind = Kind::kBoolean;
    } else if (token_.kind != PolicyTokenKind::kString) {
      return Unexpected("a value");
    }
    KMS_TRY(Advance());
    return scalar;
  }

  Result<PolicyNode> ReadObject() {
    PolicyNode object{.kind = Kind::kObject, .line = token_.line};
    KMS_TRY(Open("{"));
    while (!IsMark("}")) {
      KMS_TRY(ReadMember(object));
      KMS_TRY(ReadSeparator("}"));
    }
    KMS_TRY(Close());
    return object;
  }

  Result<PolicyNode> ReadList() {
    PolicyNode list{.kind = Kind::kList, .line = token_.line};
    KMS_TRY(Open("["));
    while (!IsMark("]")) {
      PolicyNode value = KMS_TRY(ReadValue());
      list.children.push_back(std::move(value));
      KMS_TRY(ReadSeparator("]"));
    }
    KMS_TRY(Close());
    return list;
  }

  Status Open(std::string_view mark) {
    if (!IsMark(mark)) {
      return Unexpected("\"" + std::string(mark) + "\"");
    }
    if (++depth_ > kMaxDepth) {
      return PolicyErrorAt(token_.line, "the document is nested too deeply");
    }
    return Advance();
  }
  Status Close() {
    --depth_;
    return Advance();
  }
  // HCL needs none between members; JSON allows none before the end.
  Status ReadSeparator(std::string_view end) {
    const bool comma = KMS_TRY(SkipMark(","));
    const bool needed = json_ || end == "]";
    if (!comma && needed && !IsMark(end)) {
      return Unexpected("\",\" or \"" + std::string(end) + "\"");
    }
    if (comma && json_ && IsMark(end)) {
      return Unexpected("a value");
    }
    return Ok();
  }

  PolicyScanner scanner_;
  bool json_;
  PolicyToken token_;
  int depth_ = 0;
};

}  // namespace

Result<PolicyNode> ReadPolicyDocument(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  const bool json = first != std::string_view::npos && text[first] == '{';
  return DocumentReader(text, json).Read();
}

}  // namespace kms::internal
