#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <exception>
#include <set>
#include <sstream>

#include "common/spec/spec.h"
#include "common/spec/spec_node.h"

namespace overwinter::spec {
namespace {

// Thrown through yaml-cpp from its callbacks, and caught in read_yaml.
struct Refused {
  int line;
  std::string message;
};

class TreeBuilder : public YAML::EventHandler {
 public:
  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    open(mark, anchor, Node::Kind::kNull);
    close();
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { refuse_anchor(mark); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    check_tag(mark, tag);
    Node& node = open(mark, anchor, Node::Kind::kScalar);
    node.text = value;
    // A plain null; in quotes (whose tag is "!") it is text.
    if (tag != "!" && (value == "null" || value == "~")) node.kind = Node::Kind::kNull;
    close();
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(mark, anchor, Node::Kind::kList);
  }
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    check_tag(mark, tag);
    open(mark, anchor, Node::Kind::kMap);
  }
  void OnMapEnd() override { close(); }

  [[nodiscard]] Node take() { return std::move(root_); }

 private:
  struct Open {
    Node node;
    std::set<std::string> keys;  // of a map, so far
    bool has_key = false;        // the next value belongs to the map's last entry
  };

  static int line_of(const YAML::Mark& mark) { return mark.line + 1; }
  [[noreturn]] static void refuse_anchor(const YAML::Mark& mark) {
    throw Refused{line_of(mark),
                  "anchors and aliases (& and *) are not taken; write the value out"};
  }
  static void check_tag(const YAML::Mark& mark, const std::string& tag) {
    if (!tag.empty() && tag != "?" && tag != "!")
      throw Refused{line_of(mark), "tags (!) are not taken"};
  }

  Node& open(const YAML::Mark& mark, YAML::anchor_t anchor, Node::Kind kind) {
    if (anchor != 0) refuse_anchor(mark);
    if (++nodes_ > kNodesMax) throw Refused{line_of(mark), "the file has too many values"};
    if (stack_.size() >= static_cast<std::size_t>(kSpecDepthMax))
      throw Refused{line_of(mark), "the file is nested too deeply"};
    Node node;
    node.kind = kind;
    node.line = line_of(mark);
    stack_.push_back({.node = std::move(node), .keys = {}, .has_key = false});
    return stack_.back().node;
  }

  void close() {
    Open done = std::move(stack_.back());
    stack_.pop_back();
    if (stack_.empty()) {
      root_ = std::move(done.node);
      return;
    }
    Open& parent = stack_.back();
    if (parent.node.kind == Node::Kind::kList) {
      parent.node.items.push_back(std::move(done.node));
      return;
    }
    if (!parent.has_key) {
      take_key(parent, std::move(done.node));
      return;
    }
    parent.node.entries.back().value = std::move(done.node);
    parent.has_key = false;
  }

  void take_key(Open& parent, Node key) {
    if (key.kind != Node::Kind::kScalar) throw Refused{key.line, "a key must be a single word"};
    if (!parent.keys.insert(key.text).second)
      throw Refused{key.line, "the key \"" + printable(key.text) + "\" is there twice"};
    parent.node.entries.push_back({std::move(key.text), key.line, {}});
    parent.has_key = true;
  }

  std::vector<Open> stack_;
  std::size_t nodes_ = 0;
  Node root_;
};

tl::unexpected<Status> refused(int line, const std::string& message) {
  return fail(Code::kInvalidArgument, std::to_string(line) + ": " + message);
}

}  // namespace

Result<Node> read_yaml(std::string_view text) {
  try {
    std::istringstream in{std::string(text)};
    YAML::Parser parser(in);
    TreeBuilder first;
    if (!parser.HandleNextDocument(first)) return Node{};
    TreeBuilder second;
    if (parser.HandleNextDocument(second))
      return fail(Code::kInvalidArgument,
                  "1: a file holds one document; this one has several documents");
    return first.take();
  } catch (const Refused& e) {
    return refused(e.line, e.message);
  } catch (const YAML::Exception& e) {
    return refused(e.mark.line + 1, "not YAML: " + e.msg);
  } catch (const std::exception& e) {
    return refused(1, std::string("not YAML: ") + e.what());
  }
}

}  // namespace overwinter::spec
