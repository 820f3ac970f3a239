using Mono.Cecil;

namespace ProxyTune.Architecture.Tests;

/// <summary>Rooms of a project are its folders. They form a list, which docs/architecture.md prints, and a room uses only those above it.</summary>
public sealed class RoomsTests
{
    public static TheoryData<string> Projects => ["Checkpoints", "Decoding", "Gateway", "Trainer"];

    [Theory]
    [MemberData(nameof(Projects))]
    public void Rooms_EachProject_UseOnlyRoomsAboveThem(string project)
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
        Assert.True(wrong.Length == 0, $"Of the rooms of {project} in the order {string.Join(", ", order)}:\n{string.Join('\n', wrong)}");
    }

    [Theory]
    [MemberData(nameof(Projects))]
    public void Rooms_EachProject_AreThoseOfTheDocument(string project) =>
        Assert.Equal(Dependencies.Of(project).Tree.Folders, new SortedSet<string>(ArchitectureDocument.Rooms(project), StringComparer.Ordinal));

    [Theory]
    [MemberData(nameof(Projects))]
    public void Dependencies_EachProject_AreSeen(string project) => Assert.True(Dependencies.Of(project).Edges.Count > 50);

    [Theory]
    [InlineData("Checkpoints")]
    [InlineData("Decoding", "Checkpoints")]
    [InlineData("Gateway", "Checkpoints", "Decoding")]
    [InlineData("Trainer", "Checkpoints", "Decoding")]
    public void Projects_Each_UsesOnlyThoseBelowIt(string project, params string[] below)
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
