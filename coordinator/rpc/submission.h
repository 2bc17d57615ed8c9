// A submission on its way: validated, its inputs found, planned, posted. The same for one job and
// for several.
#pragma once

#include <functional>
#include <string>

#include "coordinator/rpc/service_context.h"

namespace overwinter::rpc {

// Fills defaults and checks everything that needs no disk. The caller's own project is the default.
Status complete(const ServiceContext& context, const Principal& caller, v1::JobSpec& spec);

// On the pool: what a specification names is there, but for its inputs. NOT_FOUND names a secret
// that its project does not have.
Status check_named(const ServiceContext& context, const v1::JobSpec& spec);

// `done` is called once, from any thread, with the accepted job after its commit.
void submit(const ServiceContext& context, const Principal& caller,
            const v1::SubmitJobRequest& request,
            const std::function<void(Result<runtime::JobViewPtr>)>& done);

}  // namespace overwinter::rpc
