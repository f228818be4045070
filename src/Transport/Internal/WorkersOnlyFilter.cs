using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Internal;

/// <summary>Puts <see cref="WorkersOnlyMiddleware"/> in front of the application's pipeline, if the option says so.</summary>
internal sealed class WorkersOnlyFilter(IOptions<NetpollTransportOptions> options) : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next)
    {
        if (options.Value.ApplicationScheduling != ApplicationScheduling.WorkersOnly)
        {
            return next;
        }

        return builder =>
        {
            builder.Use(static pipeline => new WorkersOnlyMiddleware(pipeline).InvokeAsync);
            next(builder);
        };
    }
}
