// Commands about who may what, and about money: what they take.
#include <memory>

#include "client/cli/commands.h"
#include "client/cli/declare.h"
#include "client/cli/exit_codes.h"

namespace overwinter::cli {

void declare_tokens(CLI::App& root, Parsed& p) {
  CLI::App* tokens = command(root, p, "tokens", "Who may come in");
  examples(tokens,
           "  overwinter tokens create --role submitter --for ann\n  overwinter tokens list\n");
  tokens->require_subcommand(1, 1);
  CLI::App* create = command(*tokens, p, "create",
                             "A login line for a person, or a join file for machines", false);
  auto t = std::make_shared<TokenOptions>();
  create
      ->add_option("--role", t->role,
                   "viewer, submitter, operator, billing, auditor, admin or worker")
      ->required();
  create->add_option("--for", t->name, "Whose it is");
  create->add_option("--project", t->project, "One project (default: all)");
  create->add_option("--projects", t->projects, "Of a join file: projects that its workers serve")
      ->delimiter(',');
  create->add_option("--uses", t->uses, "Of a join file: how many machines (default 1)")
      ->check(CLI::Range(1, 10000));
  create->add_option("--ttl", t->ttl,
                     "Until when: 24h, 30d (default: a join file 24h, a token without end)");
  create->add_flag("--may-set-price", t->may_set_price,
                   "Of a join file: --price of its workers counts");
  create->add_option("-o,--output", t->output, "Where the line or the join file goes, 0600");
  examples(create,
           "  overwinter tokens create --role submitter --for ann --project demo\n"
           "  overwinter tokens create --role worker --uses 3 --ttl 24h -o join.file\n");
  create->callback([&p, t] { p.run = [&p, t] { return run_tokens_create(p.globals, *t); }; });
  CLI::App* list = command(*tokens, p, "list", "Every token and join file");
  examples(list, "  overwinter tokens list\n");
  list->callback([&p] { p.run = [&p] { return run_tokens_list(p.globals); }; });
  CLI::App* revoke = command(*tokens, p, "revoke", "End a token or a join file at once");
  auto id = std::make_shared<std::uint64_t>(0);
  auto join = std::make_shared<bool>(false);
  revoke->add_option("ID", *id, "As `tokens list` shows it")->required();
  revoke->add_flag("--join-file", *join, "The id is a join file's");
  examples(revoke, "  overwinter tokens revoke 7\n  overwinter tokens revoke 3 --join-file\n");
  revoke->callback([&p, id, join] {
    p.run = [&p, id, join] { return run_tokens_revoke(p.globals, *id, *join); };
  });
}

void declare_secrets(CLI::App& root, Parsed& p) {
  CLI::App* secrets = command(root, p, "secrets", "What programs are given and nobody reads back");
  examples(secrets, "  overwinter secrets set HF_TOKEN < token.txt\n  overwinter secrets list\n");
  secrets->require_subcommand(1, 1);
  const auto declare = [&p, secrets](const char* name, const char* about, const char* example,
                                     int (*run)(const Globals&, const SecretOptions&)) {
    CLI::App* app = command(*secrets, p, name, about);
    auto s = std::make_shared<SecretOptions>();
    if (run != run_secrets_list)
      app->add_option("NAME", s->name, "As the variable that a program gets")->required();
    app->add_option("--project", s->project, "Project (default: the token's)");
    examples(app, example);
    app->callback([&p, s, run] { p.run = [&p, s, run] { return run(p.globals, *s); }; });
  };
  declare("set", "Set or replace one; its value comes from standard input",
          "  overwinter secrets set HF_TOKEN              asks for it, and shows nothing\n"
          "  overwinter secrets set HF_TOKEN < token.txt\n"
          "  pass show hf | overwinter secrets set HF_TOKEN --project demo\n",
          run_secrets_set);
  declare("list", "Names, and since when", "  overwinter secrets list --project demo -o json\n",
          run_secrets_list);
  declare("delete", "Running programs keep it; the next start of a job that names it fails",
          "  overwinter secrets delete HF_TOKEN\n", run_secrets_delete);
}

void declare_audit(CLI::App& root, Parsed& p) {
  CLI::App* audit = command(root, p, "audit", "Who decided what, and who was refused");
  examples(audit, "  overwinter audit list --since 7d\n  overwinter audit export -o audit.jsonl\n");
  audit->require_subcommand(1, 1);
  auto a = std::make_shared<AuditOptions>();
  const auto filters = [a](CLI::App* app) {
    app->add_option("--actor", a->actor, "tokens/7, workers/w-1 or coordinator");
    app->add_option("--object", a->object, "A resource, and what lies under it: projects/demo");
    app->add_option("--since", a->since, "How long ago (7d) or a time (2026-11-24)");
    app->add_flag("--refusals", a->refusals, "Refused calls alone");
  };
  CLI::App* list = command(*audit, p, "list", "Newest first");
  filters(list);
  list->add_option("--limit", a->limit, "At most this many (default 100)")
      ->check(CLI::Range(1, 1000));
  examples(list,
           "  overwinter audit list --actor tokens/7 --since 7d\n"
           "  overwinter audit list --object projects/demo -o wide\n"
           "  overwinter audit list --refusals -o json\n");
  list->callback([&p, a] { p.run = [&p, a] { return run_audit_list(p.globals, *a); }; });
  CLI::App* all = command(*audit, p, "export",
                          "Every entry as a line of JSON, newest first, into a file (0600)", false);
  filters(all);
  all->add_option("-o,--output", a->output, "The file")->required();
  examples(all, "  overwinter audit export -o audit.jsonl --since 30d\n");
  all->callback([&p, a] { p.run = [&p, a] { return run_audit_export(p.globals, *a); }; });
}

void declare_money(CLI::App& root, Parsed& p) {
  CLI::App* projects = command(root, p, "projects", "List projects, or make one");
  examples(projects, "  overwinter projects\n  overwinter projects create demo\n");
  projects->require_subcommand(0, 1);
  projects->callback([&p, projects] {
    if (projects->get_subcommands().empty()) p.run = [&p] { return run_projects_list(p.globals); };
  });
  CLI::App* list = command(*projects, p, "list", "Names");
  examples(list, "  overwinter projects list\n");
  list->callback([&p] { p.run = [&p] { return run_projects_list(p.globals); }; });
  one_word(*projects, p, "create", "A new project",
           {"PROJECT", "Its name: lower-case letters, digits and dashes"},
           "overwinter projects create demo",
           [&p](const std::string& name) { return run_projects_create(p.globals, name); });

  CLI::App* prices = command(root, p, "prices", "The price book");
  examples(prices, "  overwinter prices\n  overwinter prices set book.yaml\n");
  prices->require_subcommand(0, 1);
  prices->callback([&p, prices] {
    if (prices->get_subcommands().empty()) p.run = [&p] { return run_prices_get(p.globals); };
  });
  CLI::App* get = command(*prices, p, "get", "As it is");
  examples(get, "  overwinter prices get > book.yaml\n");
  get->callback([&p] { p.run = [&p] { return run_prices_get(p.globals); }; });
  one_word(*prices, p, "set", "Replace it", {"FILE", "The book, YAML; - is standard input"},
           "overwinter prices set deploy/examples/prices.yaml",
           [&p](const std::string& file) { return run_prices_set(p.globals, file); });

  CLI::App* cost = command(root, p, "cost", "What jobs or machines cost");
  auto c = std::make_shared<CostOptions>();
  cost->add_option("JOB", c->job, "One job");
  cost->add_option("--project", c->project, "One project");
  cost->add_option("--month", c->month, "For example 2026-11");
  cost->add_flag("--machines", c->machines, "Machines: jobs, idle and lost");
  examples(cost, "  overwinter cost @last\n  overwinter cost --machines --month 2026-11\n");
  cost->callback([&p, c] { p.run = [&p, c] { return run_cost(p.globals, *c); }; });
}

}  // namespace overwinter::cli
