using System.Globalization;
using System.Net.Sockets;
using System.Text;
using KestrelNetpoll.Native.Timers;
using KestrelNetpoll.Transport.Diagnostics;
using Microsoft.Extensions.Logging;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>
/// Tells the service manager how the service is (sd_notify), where it has asked for that. It never throws: a service that cannot say that
/// it serves serves all the same. Thread-safe.
/// </summary>
internal sealed class ServiceNotifier
{
    private const string Variable = "NOTIFY_SOCKET";

    // Set by systemd for whatever a unit starts.
    private const string StartedByUnit = "INVOCATION_ID";
    private const int NanosecondsPerMicrosecond = 1000;

    // The manager reads its socket all the time. If it does not, the server must not wait for it.
    private static readonly TimeSpan SendTimeout = TimeSpan.FromSeconds(1);

    private readonly UnixDomainSocketEndPoint _manager;
    private readonly ILogger _logger;

    private ServiceNotifier(UnixDomainSocketEndPoint manager, ILogger logger) => (_manager, _logger) = (manager, logger);

    /// <summary>Null: no manager has asked.</summary>
    internal static ServiceNotifier? FromEnvironment(ILogger logger)
    {
        if (Environment.GetEnvironmentVariable(Variable) is not { Length: > 1 } name)
        {
            return null;
        }

        if (name[0] is not ('/' or '@'))
        {
            // Another kind of socket (vsock, between virtual machines).
            NetpollTransportLog.ServiceManagerNotTold(logger, "anything", name, exception: null);
            return null;
        }

        try
        {
            // Abstract names are written with an @.
            return new ServiceNotifier(new UnixDomainSocketEndPoint(name[0] == '@' ? $"\0{name[1..]}" : name), logger);
        }
        catch (ArgumentException e)
        {
            NetpollTransportLog.ServiceManagerNotTold(logger, "anything", name, e);
            return null;
        }
    }

    /// <summary>
    /// For a process that takes over: a warning, if systemd has started it and has not told it where it listens. systemd would not learn
    /// of the process that takes over next, and would take the service for one that has ended.
    /// </summary>
    internal static void WarnIfUnheard(ILogger logger)
    {
        if (string.IsNullOrEmpty(Environment.GetEnvironmentVariable(Variable))
            && !string.IsNullOrEmpty(Environment.GetEnvironmentVariable(StartedByUnit)))
        {
            NetpollTransportLog.NotifySocketMissing(logger);
        }
    }

    /// <summary>The service serves: its start, or its reload, is over.</summary>
    internal void Ready() => Send("READY=1");

    /// <summary>The service begins to stop.</summary>
    internal void Stopping() => Send("STOPPING=1");

    /// <summary>The service is being replaced. To be followed by <see cref="Ready"/> or <see cref="Succeeded"/>.</summary>
    internal void Reloading() => Send(string.Create(
        CultureInfo.InvariantCulture, $"RELOADING=1\nMONOTONIC_USEC={MonotonicClock.Now / NanosecondsPerMicrosecond}"));

    /// <summary>
    /// Another process is the service from now on, and ready. In one message: until the manager knows, it may listen to this process only,
    /// and afterwards to the other one.
    /// </summary>
    internal void Succeeded(int processId) => Send(string.Create(CultureInfo.InvariantCulture, $"MAINPID={processId}\nREADY=1"));

    private void Send(string state)
    {
        try
        {
            using var socket = new Socket(AddressFamily.Unix, SocketType.Dgram, ProtocolType.Unspecified)
            {
                SendTimeout = (int)SendTimeout.TotalMilliseconds,
            };
            socket.SendTo(Encoding.UTF8.GetBytes(state), _manager);
        }
        catch (SocketException e)
        {
            NetpollTransportLog.ServiceManagerNotTold(_logger, state.Replace('\n', ' '), _manager.ToString(), e);
        }
    }
}
