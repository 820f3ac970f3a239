namespace ProxyTune.Gateway.Tests.Hosting;

/// <summary>Tests that only send requests share one server.</summary>
[CollectionDefinition(Name)]
public sealed class GatewayCollection : ICollectionFixture<RunningGateway>
{
    public const string Name = "gateway";
}
