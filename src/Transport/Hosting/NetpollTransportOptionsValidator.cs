using System.Globalization;
using System.Text;
using Microsoft.Extensions.Options;

namespace KestrelNetpoll.Transport.Hosting;

/// <summary>Refuses options out of range; every message names the option, the value and the range.</summary>
internal sealed class NetpollTransportOptionsValidator : IValidateOptions<NetpollTransportOptions>
{
    private const int PermissionBits = 0x1FF;

    // As the kernel sees it (dev_valid_name), for names that exist.
    private static bool IsDeviceName(string name) =>
        Encoding.UTF8.GetByteCount(name) is > 0 and <= NetpollTransportOptions.MaxDeviceNameLength
        && !name.Any(static c => c is '/' or ':' or '\0' || char.IsWhiteSpace(c));

    public ValidateOptionsResult Validate(string? name, NetpollTransportOptions options)
    {
        List<string> mistakes = FindMistakes(options);
        return mistakes.Count == 0
            ? ValidateOptionsResult.Success
            : ValidateOptionsResult.Fail(mistakes.Select(static mistake => $"{nameof(NetpollTransportOptions)}.{mistake}"));
    }

    /// <summary>A sentence for each option that is out of its range; begins with the option's name.</summary>
    internal static List<string> FindMistakes(NetpollTransportOptions options)
    {
        List<string> failures = [];

        CheckRange(
            nameof(options.WorkerCount),
            options.WorkerCount,
            NetpollTransportOptions.MinWorkerCount,
            NetpollTransportOptions.HighestWorkerCount);
        CheckRange(
            nameof(options.MaxWorkerCount),
            options.MaxWorkerCount,
            Math.Clamp(options.WorkerCount, 1, NetpollTransportOptions.HighestWorkerCount),
            NetpollTransportOptions.HighestMaxWorkerCount);
        CheckRange(
            nameof(options.WorkerGroupCount),
            options.WorkerGroupCount,
            1,
            Math.Clamp(options.WorkerCount, 1, NetpollTransportOptions.MaxGroupCount));
        CheckNamed(nameof(options.Backend), options.Backend);
        if (options.BlockedTurnThreshold is { } threshold && threshold != TimeSpan.Zero)
        {
            TimeSpan least = NetpollTransportOptions.LeastBlockedTurnThreshold;
            TimeSpan most = NetpollTransportOptions.MostBlockedTurnThreshold;
            if (threshold < least || threshold > most)
            {
                Fail(nameof(options.BlockedTurnThreshold), threshold, $"null, 0 (both turn it off) or between {least} and {most}");
            }
        }

        CheckAtLeastOne(nameof(options.Backlog), options.Backlog);
        CheckBufferSize(nameof(options.MaxReadBufferSize), options.MaxReadBufferSize);
        CheckBufferSize(nameof(options.MaxWriteBufferSize), options.MaxWriteBufferSize);
        CheckNamed(nameof(options.ApplicationScheduling), options.ApplicationScheduling);
        CheckNamed(nameof(options.AcceptStrategy), options.AcceptStrategy);
        CheckSeconds(nameof(options.TcpKeepAliveTime), options.TcpKeepAliveTime);
        CheckSeconds(nameof(options.TcpKeepAliveInterval), options.TcpKeepAliveInterval);
        CheckRange(
            nameof(options.TcpKeepAliveRetryCount), options.TcpKeepAliveRetryCount, 1, NetpollTransportOptions.MaxKeepAliveRetryCount);
        CheckSpan(nameof(options.UserTimeout), options.UserTimeout, TimeSpan.FromMilliseconds(1), TimeSpan.FromMilliseconds(int.MaxValue));
        CheckSeconds(nameof(options.DeferAccept), options.DeferAccept);
        CheckAtLeastOne(nameof(options.FastOpen), options.FastOpen);
        CheckAtLeastOne(nameof(options.ReceiveBufferSize), options.ReceiveBufferSize);
        CheckAtLeastOne(nameof(options.SendBufferSize), options.SendBufferSize);
        CheckAtLeastOne(nameof(options.MaxConnectionsPerAddress), options.MaxConnectionsPerAddress);
        CheckLimit(nameof(options.FirstByteTimeout), options.FirstByteTimeout);
        CheckLimit(nameof(options.ReadIdleTimeout), options.ReadIdleTimeout);
        CheckLimit(nameof(options.WriteStallTimeout), options.WriteStallTimeout);
        CheckLimit(nameof(options.MaxConnectionAge), options.MaxConnectionAge);
        CheckRange(nameof(options.TypeOfService), options.TypeOfService, 0, NetpollTransportOptions.MaxTypeOfService);
        if (options.BindToDevice is { } device && !IsDeviceName(device))
        {
            Fail(nameof(options.BindToDevice), $"'{device}'", "null or the name of a network interface, of 1 to 15 bytes");
        }

        if (options.UnixSocketMode is { } mode && ((int)mode & ~PermissionBits) != 0)
        {
            Fail(nameof(options.UnixSocketMode), $"octal {Convert.ToString((int)mode, 8)}", "null or permission bits, up to octal 777");
        }

        if (options.CreateBoundListenSocket is null)
        {
            Fail(
                nameof(options.CreateBoundListenSocket),
                "null",
                $"a function, for example {nameof(NetpollTransportOptions.CreateDefaultBoundListenSocket)}");
        }

        return failures;

        void CheckRange(string option, int? value, int minimum, int maximum)
        {
            if (value < minimum || value > maximum)
            {
                Fail(option, value, $"between {minimum} and {maximum}");
            }
        }

        void CheckAtLeastOne(string option, int? value)
        {
            if (value < 1)
            {
                Fail(option, value, "1 or more");
            }
        }

        void CheckBufferSize(string option, long? value)
        {
            if (value is < 0 or > int.MaxValue)
            {
                Fail(option, value, $"null, 0 (both mean no limit) or between 1 and {int.MaxValue} bytes");
            }
        }

        void CheckNamed<T>(string option, T value)
            where T : struct, Enum
        {
            if (!Enum.IsDefined(value))
            {
                Fail(option, value, string.Join(" or ", Enum.GetNames<T>()));
            }
        }

        void CheckSeconds(string option, TimeSpan? value) =>
            CheckSpan(option, value, TimeSpan.FromSeconds(1), TimeSpan.FromSeconds(NetpollTransportOptions.MaxKeepAliveSeconds));

        void CheckLimit(string option, TimeSpan? value) =>
            CheckSpan(option, value, NetpollTransportOptions.MinLimit, NetpollTransportOptions.MaxLimit);

        void CheckSpan(string option, TimeSpan? value, TimeSpan minimum, TimeSpan maximum)
        {
            if (value < minimum || value > maximum)
            {
                Fail(option, value, $"null or between {minimum} and {maximum}");
            }
        }

        void Fail(string option, object? value, string range) => failures.Add(string.Create(
            CultureInfo.InvariantCulture,
            $"{option} is {value}; it must be {range}."));
    }
}
