using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;

namespace KestrelNetpoll.Transport.WorkersOnly;

/// <summary>
/// Puts <see cref="WorkersOnlyMiddleware"/> in front of the application's pipeline, if the option says so: as the factory has read it, and
/// so as the connections have it.
/// </summary>
internal sealed class WorkersOnlyFilter(NetpollTransportFactory factory) : IStartupFilter
{
    public Action<IApplicationBuilder> Configure(Action<IApplicationBuilder> next)
    {
        if (factory.ApplicationScheduling != ApplicationScheduling.WorkersOnly)
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
