using Mono.Cecil;

namespace ProxyTune.Architecture.Tests;

/// <summary>Checks that the folders of each project are the rooms of docs/architecture.md, and that a room uses only the rooms above it.</summary>
public sealed class RoomsTests
{
    public static TheoryData<string> Projects => ["Checkpoints", "Decoding", "Gateway", "Trainer"];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Rooms_AnyProject_UseOnlyRoomsAboveThem(string project)
    {
        IReadOnlyList<string> order = ArchitectureDocument.Rooms(project);
        Dictionary<string, int> place = order.Index().ToDictionary(room => room.Item, room => room.Index);
        string[] wrong =
        [
            .. Dependencies.Of(project).Edges
                .Where(edge => place.GetValueOrDefault(SourceTree.FolderOf(edge.To)) > place.GetValueOrDefault(SourceTree.FolderOf(edge.From)))
                .Select(edge => $"{edge.From} uses {edge.To}")
                .Order(StringComparer.Ordinal),
        ];
        Assert.True(wrong.Length == 0, $"The rooms of {project} are {string.Join(", ", order)}. A room uses a later one:\n{string.Join('\n', wrong)}");
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Rooms_AnyProject_EqualTheRoomsOfTheDocument(string project) =>
        Assert.Equal(Dependencies.Of(project).Tree.Folders, new SortedSet<string>(ArchitectureDocument.Rooms(project), StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Dependencies_AnyProject_AreFound(string project) => Assert.True(Dependencies.Of(project).Edges.Count > 50);

    [Theory]
    [InlineData("Checkpoints")]
    [InlineData("Decoding", "Checkpoints")]
    [InlineData("Gateway", "Checkpoints", "Decoding")]
    [InlineData("Trainer", "Checkpoints", "Decoding")]
    public void Projects_Any_UsesOnlyProjectsBelowIt(string project, params string[] below)
    {
        using ModuleDefinition module = ModuleDefinition.ReadModule(Path.Combine(Output.Of(project == "Trainer" ? project : "Gateway"), $"ProxyTune.{project}.dll"));
        Assert.Equal(below, module.AssemblyReferences.Select(reference => reference.Name).Where(name => name.StartsWith("ProxyTune.", StringComparison.Ordinal)).Select(name => name["ProxyTune.".Length..]).Order(StringComparer.Ordinal));
    }

    [Theory]
    [InlineData("Checkpoints", "Microsoft.ML.OnnxRuntime", "Microsoft.AspNetCore", "TorchSharp")]
    [InlineData("Decoding", "Microsoft.AspNetCore", "TorchSharp")]
    [InlineData("Gateway", "TorchSharp")]
    [InlineData("Trainer", "Microsoft.AspNetCore")]
    public void Projects_Each_LeavesOutWhatItMustNotKnow(string project, params string[] foreign)
    {
        using ModuleDefinition module = ModuleDefinition.ReadModule(Path.Combine(Output.Of(project == "Trainer" ? project : "Gateway"), $"ProxyTune.{project}.dll"));
        Assert.DoesNotContain(module.AssemblyReferences, reference => foreign.Any(name => reference.Name.StartsWith(name, StringComparison.Ordinal)));
    }
}
